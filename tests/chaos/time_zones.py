"""Time zones of our own, seconds apart: so that those of one run fall due one after the other while all is broken.

A file for each in a folder of the time zone database (TZif, RFC 8536), before the machine's own (PYTHONTZPATH).
"""

import os
import struct
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: How many seconds the clocks of each are ahead of UTC.
AHEAD_S: Final[Mapping[str, int]] = {
    "Chaos/First": 12,
    "Chaos/Second": 8,
    "Chaos/Third": 4,
    "Chaos/Fourth": 0,
    "Chaos/Last": -4,
}
EARLIEST: Final = "Chaos/First"


def written_to(folder: Path) -> str:
    """Write them; returns the PYTHONTZPATH by which processes know them."""
    for name, ahead_s in AHEAD_S.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_block(ahead_s) * 2 + b"\n\n")  # version 2: the block of version 1 first; no rule after it
    return os.pathsep.join([str(folder), *zoneinfo.TZPATH])


def _block(ahead_s: int) -> bytes:
    """A header, and one offset for all times: no transitions, one type, a name of four bytes."""
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return header + struct.pack(">lbb", ahead_s, 0, 0) + b"OWN\0"
