"""How glibc gives freed memory back to the system."""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # malloc.h
_LARGE: Final = 256 * 1024


def give_large_blocks_back() -> None:
    """From now on a block of 256 KiB or more goes back to the system as soon as it is freed. Does nothing where the C
    library is not glibc.

    By itself glibc raises the limit to the size of what was freed last. Bodies of 10 MB then lie between small blocks
    in the arena of each thread, and a process that had six of them in hand keeps the space of a dozen.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
