"""Keep the memory that operators free, so that the next operator finds it at once."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

# mallopt(3): the parameters' numbers in glibc's <malloc.h>.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_ARENA_MAX = -8
_NEVER = 2**31 - 1


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, until it ends.

    By default glibc gives every block above 32 MiB back to the system, and the system clears each
    page before it hands it out again. The activations of a network are such blocks: a third of the
    time of a forward pass on the CPU goes into clearing pages. No bit of a result depends on it.

    Returns:
        Whether the C library knows the setting (glibc does).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_ARENA_MAX, 1)
    return bool(mallopt(_MMAP_MAX, 0))
