"""One of something in each process that has threads: they do not exist in what is forked from it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Startable(Protocol):
    """What begins to work in the background."""

    def start(self) -> None:
        """Begin; returns at once."""
        ...


Worker = TypeVar('Worker', bound=Startable)


class PerProcess(Generic[Worker]):
    """Starts at most one worker in a process; a process that was forked from one that had it starts its own.

    Args:
        make: Makes one that is not started yet.
    """

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._pid: int | None = None

    def start(self) -> Worker:
        """The worker of this process, started now unless it was before."""
        with self._lock:
            worker = self.current()
            if worker is None:
                worker = self._worker = self._make()
                self._pid = os.getpid()
                worker.start()
            return worker

    def current(self) -> Worker | None:
        """The worker that this process has started, if any."""
        return self._worker if self._pid == os.getpid() else None

    def take(self) -> Worker | None:
        """The worker, which the caller ends; the next `start` makes another one."""
        with self._lock:
            worker, self._worker, self._pid = self.current(), None, None
            return worker
