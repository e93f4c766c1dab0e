"""Bounds of the child's life: it ends with its server, and takes no more memory than it may."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """On Linux the kernel ends this process with its parent even while native code holds the interpreter."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)


def limit_memory(most: int) -> None:
    """Limit what this process may take on top of what it takes now.

    Linux counts written memory for RLIMIT_DATA. The address space, which other systems limit, also holds libraries and
    what a GPU's driver reserves without ever using it.
    """
    import resource

    kind = resource.RLIMIT_DATA if sys.platform == 'linux' else resource.RLIMIT_AS
    wanted = _memory_in_use() + most
    _, hard = resource.getrlimit(kind)
    try:
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    except (OSError, ValueError) as error:
        logger.warning('fence_memory cannot be kept to on this system: %s', error)


def _memory_in_use() -> int:
    """What Linux counts for RLIMIT_DATA, in bytes; 0 on other systems."""
    try:
        lines = Path('/proc/self/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith('VmData:')), 0)
