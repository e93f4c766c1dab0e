"""Why a run has to stop, as flags that signal handlers, the heartbeat and `fit` share."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from ml_plugins.exceptions import TrainingCancelledError

# Set in a worker's child process when its worker shuts down.
_shutdown = threading.Event()
# Raises in the main thread of a child process whose plugin never asks whether it should stop.
INTERRUPT = signal.SIGUSR1


class StopFlags:
    """Whether and why one run should stop."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.taken_away = threading.Event()

    @property
    def shutdown(self) -> bool:
        """Whether the worker is stopping."""
        return _shutdown.is_set()

    @property
    def any(self) -> bool:
        """Whether there is any reason to stop."""
        return self.cancelled.is_set() or self.taken_away.is_set() or self.shutdown

    def check(self) -> None:
        """Raise `TrainingCancelledError` when there is a reason to stop."""
        if self.cancelled.is_set():
            raise TrainingCancelledError('The run was cancelled.')
        if self.any:
            raise TrainingCancelledError('The worker stops.')


def install_handlers() -> None:
    """In a worker's child process: SIGTERM asks the run to stop, `INTERRUPT` makes it."""
    _shutdown.clear()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_terminate)
    signal.signal(INTERRUPT, _on_interrupt)


def can_interrupt() -> bool:
    """Whether this is a worker's child process, in which `install_handlers` was called."""
    return signal.getsignal(INTERRUPT) is _on_interrupt


def interrupt_main() -> None:
    """Raise `TrainingCancelledError` in the main thread, if `install_handlers` was called there."""
    if can_interrupt():
        signal.pthread_kill(threading.main_thread().ident, INTERRUPT)


def _on_terminate(signum: int, frame: FrameType | None) -> None:
    _shutdown.set()


def _on_interrupt(signum: int, frame: FrameType | None) -> None:
    raise TrainingCancelledError('The run was cancelled.')
