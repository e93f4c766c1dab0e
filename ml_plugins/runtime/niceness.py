"""Threads that compute give way to threads that answer people."""

from __future__ import annotations

import contextlib
import os
import sys
import threading


def be_nice(niceness: int) -> None:
    """Give way to other threads, where the operating system knows priorities of threads.

    Threads that this one starts from now on, such as those of a numerical library, do the same. There is no way back
    without privileges.

    Args:
        niceness: 0..19; 0 changes nothing.
    """
    if niceness and sys.platform == 'linux':
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
