"""How much memory a piece of work has in use at its most."""

import re
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_PEAK: Final = "5"  # for the kernel: forget the peak so far (proc_pid_clear_refs(5))


class Peak:
    """From its making on. Not by `ru_maxrss`, which never falls: a process that once had more shows no growth."""

    def __init__(self) -> None:
        _CLEAR.write_text(_PEAK)
        self._before = _bytes("VmRSS")

    def growth(self) -> int:
        """The most bytes in use since, beyond those at the beginning."""
        return max(0, _bytes("VmHWM") - self._before)


def _bytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    assert found, name
    return int(found[1]) * 1024
