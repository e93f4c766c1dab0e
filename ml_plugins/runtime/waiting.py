"""What waits for a model: requests by priority, handed out in slices that fill a batch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from ml_plugins.exceptions import MLPluginError
from ml_plugins.failures import describe
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure

Answer = Prediction | TaskFailure | None


class Priority(IntEnum):
    """Who is served first."""

    INTERACTIVE = 0
    OPEN = 1
    BULK = 2


@dataclass(eq=False, slots=True)
class Request:
    """Tasks handed in together; they may be computed in several batches and are answered together.

    Attributes:
        deadline: A value of ``time.monotonic()`` after which nothing is computed any more.
        taken: Tasks handed out so far; the next batch starts there.
    """

    tasks: Sequence[Task]
    interaction: Interaction | None
    priority: Priority
    deadline: float | None = None
    future: Future[list[Answer]] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    taken: int = 0
    _answers: list[Answer] = field(init=False)
    _missing: int = field(init=False)
    _failed: int = 0
    _error: Exception | None = None

    def __post_init__(self) -> None:
        self._missing = len(self.tasks)
        self._answers = [None] * self._missing

    def answer(self, start: int, answers: Sequence[Answer]) -> None:
        """Take the answers of the tasks from `start` on."""
        self._answers[start : start + len(answers)] = answers
        self._count(len(answers))

    def deliver(self, start: int, answers: Sequence[Answer | Exception], cause: Exception | None) -> None:
        """Take what came of the tasks from `start` on: answers, and exceptions in their place.

        Args:
            cause: What the batch failed with before it was split; None where every task has an answer.
        """
        if cause is None:
            self.answer(start, answers)
            return
        for index, answer in enumerate(answers, start):
            if isinstance(answer, Exception):
                self._error = self._error or (cause if len(answers) > 1 else answer)
                self.answer_failed(index, [answer])
            else:
                self.answer(index, [answer])

    def answer_failed(self, start: int, errors: Sequence[Exception]) -> None:
        """Give the tasks from `start` on a reason; the future fails when all of the request's tasks failed so."""
        for index, error in enumerate(errors, start):
            self._answers[index] = TaskFailure(self.tasks[index].id, reason_of(error))
            self._error = self._error or error
        self._failed += len(errors)
        self._count(len(errors))

    def fail(self, error: Exception) -> None:
        """Fail the whole request, unless it is answered already or was withdrawn."""
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return

    def refuse(self, error: Exception) -> None:
        """Compute no more of it: it fails as a whole, or, when a part was computed, in the tasks that are left."""
        if not self.taken:
            self.fail(error)
            return
        start, self.taken = self.taken, len(self.tasks)
        self.answer_failed(start, [error] * (len(self.tasks) - start))

    def is_late(self, now: float) -> bool:
        """Whether its deadline has passed."""
        return self.deadline is not None and now > self.deadline

    def _count(self, number: int) -> None:
        self._missing -= number
        if self._missing:
            return
        if self._error is not None and self._failed == len(self.tasks):
            self.fail(self._error)
            return
        try:
            self.future.set_result(self._answers)
        except InvalidStateError:
            return


class Slice(NamedTuple):
    """A part of a request that goes into one batch."""

    request: Request
    start: int
    stop: int

    @property
    def tasks(self) -> Sequence[Task]:
        """The tasks of this part."""
        return self.request.tasks[self.start : self.stop]


class Waiting:
    """Requests by priority, bounded for each of them. Not locked: its owner does that."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._queues: tuple[deque[Request], ...] = tuple(deque() for _ in Priority)
        self._counts = [0 for _ in Priority]

    def ahead_of(self, priority: Priority) -> int:
        """Tasks that are served before a new one of this priority."""
        return sum(self._counts[: priority + 1])

    def has_room(self, priority: Priority, tasks: int) -> bool:
        """Whether so many more tasks of this priority fit."""
        return self._counts[priority] + tasks <= self.limit

    def add(self, request: Request) -> None:
        """Queue what is not yet taken of a request, behind others of its priority."""
        left = len(request.tasks) - request.taken
        self._queues[request.priority].append(request)
        self._counts[request.priority] += left
        self.total += left

    def take(self, size: int, now: float) -> tuple[list[Slice], list[Request]]:
        """Take at most `size` tasks, the highest priority first.

        Returns:
            The slices of one batch, and the requests that were dropped because their deadline had passed.
        """
        slices: list[Slice] = []
        late: list[Request] = []
        for queue in self._queues:
            while queue and size > 0:
                request = queue[0]
                if request.future.done() or request.is_late(now):
                    late.append(request)
                    self._hand_out(queue, len(request.tasks))
                elif request.interaction is None:
                    slices.append(self._hand_out(queue, request.taken + size))
                    size -= slices[-1].stop - slices[-1].start
                elif slices:
                    return slices, late
                else:
                    # A click is answered alone: its context belongs to one task.
                    return [self._hand_out(queue, request.taken + 1)], late
        return slices, late

    def take_all(self) -> list[Request]:
        """Empty the queue; the requests in the order in which they would have been served."""
        requests = [request for queue in self._queues for request in queue]
        for queue in self._queues:
            queue.clear()
        self._counts = [0 for _ in Priority]
        self.total = 0
        return requests

    @property
    def has_click(self) -> bool:
        """Whether an annotator waits in the editor."""
        return bool(self._queues[Priority.INTERACTIVE])

    @property
    def oldest(self) -> float:
        """When the request that waits longest arrived."""
        return min((queue[0].arrived for queue in self._queues if queue), default=time.monotonic())

    def _hand_out(self, queue: deque[Request], stop: int) -> Slice:
        request = queue[0]
        start, stop = request.taken, min(stop, len(request.tasks))
        request.taken = stop
        if stop == len(request.tasks):
            queue.popleft()
        self._counts[request.priority] -= stop - start
        self.total -= stop - start
        return Slice(request, start, stop)


def reason_of(error: Exception) -> str:
    """What is shown for a task: our own errors are sentences, others are named by their kind."""
    return str(error) if isinstance(error, MLPluginError) else describe(error)
