"""Where a run of the tests keeps the servers' data: in memory, where the machine has room for it there.

A database of its own for each test is some eighty files made and synced. On a disk that is most of such a test's time,
and a slow disk makes servers so late that tests fail which have nothing to do with disks. The servers' settings are the
same on both; a killed process loses nothing on either.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = "mailroom-tests-"
#: Free bytes from which on the memory disk is taken. Four workers of a whole run were seen to use 2.7 GB.
_ROOM: Final = 8 * 1024**3


def new_folder(disk: Path = Path("/dev/shm")) -> Path | None:
    """An empty folder for this process on the machine's memory disk; None where it has none or too little room."""
    if not disk.is_dir() or not os.access(disk, os.W_OK):
        return None
    _remove_what_ended_runs_left(disk)
    if shutil.disk_usage(disk).free < _ROOM:
        return None
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=disk))


def _remove_what_ended_runs_left(disk: Path) -> None:
    """A killed run removes nothing, and what it left is the machine's memory."""
    for folder in disk.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
