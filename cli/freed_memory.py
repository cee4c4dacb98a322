"""How glibc keeps memory that was freed, and gives it back to the system."""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # malloc.h
_M_ARENA_MAX: Final = -8
_LARGE: Final = 256 * 1024
_ARENAS: Final = 2


def keep_little() -> None:
    """Call it before the process has further threads. Does nothing where the C library is not glibc.

    A block of 256 KiB or more goes back to the system as soon as it is freed. By itself glibc raises this limit to the
    size of what was freed last: bodies of 10 MB then lie between small blocks, and a process that had six of them in
    hand keeps the space of a dozen.

    All threads share two arenas. By itself glibc gives each of a server's 64 threads its own, and each keeps what its
    largest request needed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, _ARENAS)
