"""End a process when its parent ends, however that happens. Standard library only: `leash.py` runs it bare."""

from __future__ import annotations

import ctypes
import os
import signal as signals
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.5


def die_with_parent(signal: int = signals.SIGKILL, parent: int | None = None) -> None:
    """Have this process get `signal` when its parent ends, also when the parent is killed.

    Linux does it in the kernel, and keeps it over ``exec``; elsewhere a thread looks at the parent. On Linux it is
    the parent's *thread* that counts, so children are started from threads that live as long as the process.

    Args:
        signal: What to send.
        parent: Process id of the parent; needed to notice a parent that ended before this call.
    """
    expected = os.getppid() if parent is None else parent
    if sys.platform == 'linux':
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
        if os.getppid() != expected:
            os.kill(os.getpid(), signal)
        return
    threading.Thread(target=_watch, args=(expected, signal), name='parent-watch', daemon=True).start()


def _watch(parent: int, signal: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal)
