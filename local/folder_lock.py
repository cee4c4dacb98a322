"""Let only one system run on a data folder: two would write to the same append-only file, and destroy it.

The lock is the kernel's, on a file in the folder. The servers inherit it, so it is held for as long as any of them
lives, even after their parent was killed.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from local.children import ChildFailed

_ENDING_S: Final = 10.0  # servers of a killed parent are ended by the kernel
_POLL_S: Final = 0.05


class FolderLock:
    """Held until it is closed, here and in every child that was given `fd`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def lock_folder(folder: Path) -> FolderLock:
    """Lock the folder. Raises ChildFailed at once if a living process has it; the message names that process."""
    path = folder / "lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _ENDING_S
    try:
        while not _locked(fd):
            holder = os.pread(fd, 32, 0).decode().strip()
            if _runs(holder) or time.monotonic() > deadline:
                raise ChildFailed(f"Mailroom runs here already (pid {holder or 'unknown'}): {folder}")
            time.sleep(_POLL_S)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(fd)
        raise
    return FolderLock(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(pid: str) -> bool:
    """True for a running process. A zombie, which has ended and waits for its parent, runs no more."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{int(pid)}/status").read_text()
    except (OSError, ValueError):
        return False
