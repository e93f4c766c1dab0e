"""The locked side of a resident model: callers put requests in, its thread takes batches out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from ml_plugins.exceptions import BackendBusyError, DeadlineExceededError
from ml_plugins.runtime.waiting import Priority, Request, Slice, Waiting

# Bounds of the estimate of when a full queue has room again, in seconds.
SOONEST, LATEST = 0.1, 60.0


class ModelEndedError(BackendBusyError):
    """This resident model takes no more work; another one can be loaded."""


class Inbox:
    """What waits for one model and what it works on."""

    def __init__(self, plugin: str, limit: int, speed: Callable[[], float | None]) -> None:
        self._plugin = plugin
        self._speed = speed
        self._waiting = Waiting(limit)
        self._in_work: list[Slice] = []
        self._ended = False
        # Tasks that wake the thread; more than one while it waits for a fuller batch.
        self._wanted = 1
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return self._waiting.total

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is computed."""
        with self._changed:
            return not (self._in_work or self._waiting.total)

    @property
    def is_over(self) -> bool:
        """Whether the model was ended and nothing is left to do."""
        with self._changed:
            return self._ended and not self._waiting.total

    def put(self, request: Request) -> None:
        """Queue a request.

        Raises:
            BackendBusyError: There is no room for so many tasks of this priority.
            ModelEndedError: The model is being unloaded.
        """
        with self._changed:
            if not self._waiting.has_room(request.priority, len(request.tasks)):
                raise self._busy(request)
            self._add(request)

    def adopt(self, requests: Sequence[Request]) -> None:
        """Queue requests that waited for another load of the same model; they had room there.

        Raises:
            ModelEndedError: The model is being unloaded.
        """
        with self._changed:
            for request in requests:
                self._add(request)

    def next_batch(self, size: int, delay: float) -> list[Slice]:
        """Wait for work and take a batch of it; empty when the model was ended and nothing is left.

        Args:
            delay: Seconds that the oldest task may wait for a fuller batch.
        """
        while True:
            with self._changed:
                self._wait(size, delay)
                slices, late = self._waiting.take(size, time.monotonic())
                self._in_work = slices
                is_over = self._ended and not self._waiting.total
            for request in late:
                request.fail(DeadlineExceededError(f'{self._plugin} had no time for it before its deadline'))
            if slices or is_over:
                return slices

    def done(self) -> bool:
        """The batch in work was computed; False when it had been taken away meanwhile."""
        with self._changed:
            was_ours = bool(self._in_work)
            self._in_work = []
            return was_ours

    def end(self) -> None:
        """Take no more requests; what waits is still handed out."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def end_and_empty(self) -> tuple[list[Slice], list[Request]]:
        """Take no more requests and give back the batch in work and what waits."""
        with self._changed:
            self._ended = True
            slices, self._in_work = self._in_work, []
            self._changed.notify_all()
            return slices, self._waiting.take_all()

    def empty(self) -> list[Request]:
        """Give back what waits."""
        with self._changed:
            return self._waiting.take_all()

    def _add(self, request: Request) -> None:
        if self._ended:
            raise ModelEndedError(f'{self._plugin} is being unloaded; try again')
        self._waiting.add(request)
        if self._waiting.total >= self._wanted or request.priority == Priority.INTERACTIVE:
            self._changed.notify()

    def _wait(self, size: int, delay: float) -> None:
        self._wanted = 1
        while not self._ended and not self._waiting.total:
            self._changed.wait()
        if not delay:
            return
        until = self._waiting.oldest + delay
        self._wanted = size
        while not self._ended and self._waiting.total < size and not self._waiting.has_click:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _busy(self, request: Request) -> BackendBusyError:
        ahead, speed = self._waiting.ahead_of(request.priority), self._speed()
        # When half of it is done there is room again, and the model has not run dry.
        seconds = ahead / speed / 2 if speed else 1.0
        return BackendBusyError(
            f'{self._plugin} has {ahead} tasks waiting, and {len(request.tasks)} more exceed the '
            f'{self._waiting.limit} that may wait; try again later',
            retry_after=min(LATEST, max(SOONEST, seconds)),
        )
