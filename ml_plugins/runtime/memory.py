"""How much memory a model takes, and how a batch that did not fit leaves it."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
from pathlib import Path

_STATM = Path('/proc/self/statm')
# What allocators say; torch, ONNX Runtime and CUDA raise errors of their own kinds.
_PHRASES = ('out of memory', 'cannot allocate memory', "can't allocate memory", 'failed to allocate memory')


def resident_bytes() -> int:
    """Memory of this process that lies in RAM now."""
    try:
        return int(_STATM.read_text(encoding='ascii').split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, ValueError, IndexError):
        return _peak_bytes()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, of the machine or of the GPU, did not suffice."""
    if isinstance(error, MemoryError) or any(kind.__name__ == 'OutOfMemoryError' for kind in type(error).__mro__):
        return True
    text = str(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(phrase in text for phrase in _PHRASES)


def free(error: BaseException) -> None:
    """Let go of what a failed batch holds: locals of its frames, garbage, and the GPU's cached blocks."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None:
        with contextlib.suppress(Exception):
            torch.cuda.empty_cache()


def _peak_bytes() -> int:
    # Where there is no /proc only the highest value so far is known; its growth while loading is what is used.
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024
