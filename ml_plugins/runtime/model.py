"""One resident model: its thread loads it and then predicts batches from a queue with priorities."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum

from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import BackendBusyError, PredictionError, PredictTimeoutError
from ml_plugins.failures import Stage, record_failure
from ml_plugins.runtime.breaker import CircuitBreaker
from ml_plugins.runtime.spec import ModelSpec
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure

logger = logging.getLogger(__name__)

Answer = Prediction | TaskFailure | None


class Priority(IntEnum):
    """Who is served first."""

    INTERACTIVE = 0
    OPEN = 1
    BULK = 2


@dataclass
class _Request:
    tasks: Sequence[Task]
    interaction: Interaction | None
    future: Future[list[Answer]]
    answers: list[Answer] = field(default_factory=list)
    missing: int = 0

    def answer(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        self.missing -= 1
        if self.missing == 0 and not self.future.done():
            self.future.set_result(self.answers)


@dataclass(order=True)
class _Item:
    priority: int
    order: int
    request: _Request = field(compare=False)
    index: int = field(compare=False)


class ResidentModel:
    """A loaded model and its thread. Concurrent requests share batches."""

    def __init__(
        self,
        spec: ModelSpec,
        breaker: CircuitBreaker,
        on_end: Callable[[ResidentModel], None],
        queue_limit: int = 10000,
    ) -> None:
        self.spec = spec
        self.loaded = Future()
        self.last_used = time.monotonic()
        self.busy_since: float | None = None
        self._breaker = breaker
        self._on_end = on_end
        self._queue_limit = queue_limit
        self._queue: list[_Item] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._ended = False
        self._in_work: list[_Item] = []
        self._thread = threading.Thread(target=self._run, name=f'model-{spec.plugin}-{spec.project_id}', daemon=True)
        self._thread.start()

    def submit(self, tasks: Sequence[Task], interaction: Interaction | None, priority: Priority) -> Future:
        """Queue tasks; the future gives one answer a task, in order.

        Raises:
            BackendBusyError: The queue is full.
        """
        request = _Request(tasks, interaction, Future(), [None] * len(tasks), len(tasks))
        with self._changed:
            if self._ended:
                raise BackendBusyError(f'{self.spec.plugin} is being unloaded; try again')
            if len(self._queue) + len(tasks) > self._queue_limit:
                raise BackendBusyError(f'{self.spec.plugin} has {len(self._queue)} tasks waiting; try again later')
            for index in range(len(tasks)):
                heapq.heappush(self._queue, _Item(priority, next(self._order), request, index))
            self.last_used = time.monotonic()
            self._changed.notify()
        if not tasks:
            request.future.set_result([])
        return request.future

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return len(self._queue)

    def end(self, error: Exception | None = None) -> None:
        """Take no more work; what waits fails with `error`, or is still answered when there is none."""
        with self._changed:
            self._ended = True
            items = [*self._in_work, *self._queue] if error else []
            if error:
                self._queue.clear()
            self._changed.notify_all()
        for item in items:
            if not item.request.future.done():
                item.request.future.set_exception(error)

    def abandon_if_hanging(self, timeout: float) -> bool:
        """Give up a batch that computes for longer than `timeout` seconds; its thread cannot be stopped."""
        since = self.busy_since
        if since is None or time.monotonic() - since < timeout:
            return False
        error = PredictTimeoutError(f'{self.spec.plugin} did not answer within {timeout:.0f} s and was given up')
        record_failure(self.spec.plugin, Stage.PREDICT, error, self.spec.project_id)
        self._breaker.failed()
        self.end(error)
        return True

    def _run(self) -> None:
        try:
            self.busy_since = time.monotonic()
            backend = self.spec.load()
        except BaseException as error:
            if not self._ended:
                record_failure(self.spec.plugin, Stage.SETUP, error, self.spec.project_id)
                self._breaker.failed()
            self._on_end(self)
            failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
            self.loaded.set_exception(failure)
            self.end(failure)
            return
        finally:
            self.busy_since = None
        self.loaded.set_result(backend)
        while items := self._next_batch(max(1, backend.max_batch)):
            self._work(backend, items)
        try:
            backend.close()
        except Exception as error:
            record_failure(self.spec.plugin, Stage.PREDICT, error, self.spec.project_id)

    def _next_batch(self, size: int) -> list[_Item]:
        with self._changed:
            while not self._queue and not self._ended:
                self._changed.wait()
            items: list[_Item] = []
            while self._queue and len(items) < size:
                # A click is answered alone: its context belongs to one task.
                if self._queue[0].request.interaction is not None and items:
                    break
                item = heapq.heappop(self._queue)
                if item.request.future.done():
                    continue
                items.append(item)
                if item.request.interaction is not None:
                    break
            self._in_work = items
            if not items and self._queue == [] and not self._ended:
                return self._next_batch(size)
            return items

    def _work(self, backend: MLBackend, items: list[_Item]) -> None:
        tasks = [item.request.tasks[item.index] for item in items]
        self.busy_since = time.monotonic()
        try:
            answers = list(backend.predict(tasks, items[0].request.interaction) or [])
            answers = self._checked(backend, tasks, answers)
        except BaseException as error:
            self.busy_since = None
            if self._ended:
                return
            record_failure(self.spec.plugin, Stage.PREDICT, error, self.spec.project_id)
            self._breaker.failed()
            failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
            for item in items:
                if not item.request.future.done():
                    item.request.future.set_exception(failure)
            return
        self.busy_since = None
        self.last_used = time.monotonic()
        for item, answer in zip(items, answers, strict=True):
            item.request.answer(item.index, answer)

    def _checked(self, backend: MLBackend, tasks: Sequence[Task], answers: list[Answer]) -> list[Answer]:
        if len(answers) != len(tasks):
            raise PredictionError(f'predict returned {len(answers)} items for {len(tasks)} tasks')
        checked = [self._check_one(backend, task, answer) for task, answer in zip(tasks, answers, strict=True)]
        if all(new is old for new, old in zip(checked, answers, strict=True)):
            self._breaker.succeeded()
        return checked

    def _check_one(self, backend: MLBackend, task: Task, answer: Answer) -> Answer:
        try:
            if isinstance(answer, Prediction):
                backend.label_config.check(answer)
            elif answer is not None and not isinstance(answer, TaskFailure):
                raise PredictionError(f'predict returned {type(answer).__name__}, not a Prediction')
            return answer
        except Exception as error:
            wrong = PredictionError(f'task {task.id}: {error}')
            record_failure(self.spec.plugin, Stage.PREDICT, wrong, self.spec.project_id)
            self._breaker.failed()
            return TaskFailure(task.id, str(wrong))
