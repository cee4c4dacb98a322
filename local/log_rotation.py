"""Log files that do not grow without end: `api.log`, then `api.log.1` to `api.log.3`, each of a stated size."""

import shutil
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 20 * 1024 * 1024
KEPT: Final = 3


def rotate(log: Path, *, most_bytes: int = MOST_BYTES) -> bool:
    """Copy the log aside and empty it, if it has more than `most_bytes`. True if it was rotated. The writer appends, so
    it goes on at the beginning; lines written between copy and emptying are lost."""
    if not log.exists() or log.stat().st_size <= most_bytes:
        return False
    for number in range(KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate(0)
    return True
