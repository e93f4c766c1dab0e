"""One resident model: its thread loads it and then predicts batches from a queue with priorities."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError

from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import CircuitOpenError, PredictTimeoutError
from ml_plugins.failures import Stage
from ml_plugins.notices import heard_by
from ml_plugins.runtime import metrics
from ml_plugins.runtime.batching import GivenUpError, Outcome, compute
from ml_plugins.runtime.breaker import CircuitBreaker
from ml_plugins.runtime.fence.backend import FencedBackend
from ml_plugins.runtime.inbox import Inbox
from ml_plugins.runtime.judge import Judge
from ml_plugins.runtime.loading import call, load, refuse_invalid
from ml_plugins.runtime.niceness import be_nice
from ml_plugins.runtime.notes import FailureNotes
from ml_plugins.runtime.spec import ModelSpec
from ml_plugins.runtime.stats import ModelStats, StatsRecorder
from ml_plugins.runtime.waiting import Answer, Priority, Request, Slice
from ml_plugins.runtime.watch import Watch
from ml_plugins.types import Interaction, Task

logger = logging.getLogger(__name__)


class ResidentModel:
    """A loaded model and its thread. Concurrent requests share batches.

    Attributes:
        spec: What is loaded.
        loaded: Done when it is ready; fails with what loading raised.
        closed: Set when the model has left memory.
        last_used: Value of ``time.monotonic()``.
        memory_bytes: What it takes; 0 until it is loaded.
        batch_limit: Tasks that fit into memory at once, known since more did not; None before.
    """

    def __init__(
        self,
        spec: ModelSpec,
        breaker: CircuitBreaker,
        on_end: Callable[[ResidentModel], None],
        queue_limit: int = 10000,
        patience: float = 60.0,
        before_load: Callable[[], None] | None = None,
        on_load: Callable[[ResidentModel], None] | None = None,
        niceness: int = 0,
    ) -> None:
        self.spec = spec
        self.loaded: Future[None] = Future()
        self.closed = threading.Event()
        self.last_used = time.monotonic()
        self.memory_bytes = 0
        self.batch_limit: int | None = None
        self._breaker = breaker
        self._on_end = on_end
        self._before_load = before_load
        self._on_load = on_load
        self._patience = patience
        self._niceness = niceness
        self._notes = FailureNotes(spec.plugin, spec.project_id)
        self._stats = StatsRecorder()
        self._judge = Judge(spec.plugin, breaker, self._notes, self._stats)
        self._inbox = Inbox(spec.plugin, queue_limit, lambda: self._stats.speed)
        self._is_loading = True
        self._backend: MLBackend | None = None
        self._watch = Watch()
        self._kill: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name=f'model-{spec.plugin}-{spec.project_id}', daemon=True)
        self._thread.start()

    def submit(
        self,
        tasks: Sequence[Task],
        interaction: Interaction | None = None,
        priority: Priority = Priority.OPEN,
        deadline: float | None = None,
    ) -> Future[list[Answer]]:
        """Queue tasks; the future gives one answer a task, in order.

        Raises:
            BackendBusyError: There is no room for so many tasks of this priority, or the model is being unloaded.
        """
        request = Request(list(tasks), interaction, priority, deadline)
        if request.tasks:
            self._inbox.put(request)
        else:
            request.future.set_result([])
        self.last_used = request.arrived
        self._stats.request()
        metrics.request(self.spec.plugin, priority)
        return request.future

    def adopt(self, requests: Sequence[Request]) -> None:
        """Take over requests that waited for another load of the same model.

        Raises:
            BackendBusyError: The model is being unloaded.
        """
        self._inbox.adopt(requests)

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return self._inbox.waiting

    @property
    def is_idle(self) -> bool:
        """Whether it neither loads nor computes and nothing waits for it."""
        return not self._is_loading and self._inbox.is_idle

    @property
    def is_ready(self) -> bool:
        """Whether it was loaded; False while it loads and when it could not be."""
        return self.loaded.done() and not self.loaded.cancelled() and self.loaded.exception() is None

    @property
    def stats(self) -> ModelStats:
        """What it has done so far."""
        return self._stats.snapshot(self.waiting, self.memory_bytes)

    def end(self, error: Exception | None = None) -> None:
        """Take no more work; what waits fails with `error`, or is still answered when there is none."""
        if error is None:
            self._inbox.end()
            return
        self._resolve(error)
        slices, requests = self._inbox.end_and_empty()
        for request in [*(item.request for item in slices), *requests]:
            request.fail(error)

    def give_up_if_hanging(self, predict_seconds: float, setup_seconds: float) -> list[Request] | None:
        """Give up a model that computes or loads for too long; its thread cannot be stopped.

        The batch in work fails. Where loading hangs everything fails, since a fresh load would hang again.

        Returns:
            Requests that still wait, for a fresh load; None when nothing hangs.
        """
        limit = setup_seconds if self._is_loading else predict_seconds
        if not self._watch.give_up(limit):
            return None
        if self._kill is not None:
            self._kill()
        slices, requests = self._inbox.end_and_empty()
        what, stage = ('was not loaded', Stage.SETUP) if self._is_loading else ('did not answer', Stage.PREDICT)
        error = PredictTimeoutError(f'{self.spec.plugin} {what} within {limit:.0f} s and was given up')
        self._breaker.failed()
        self._notes.record(stage, error)
        self._resolve(error)
        for request, start, stop in slices:
            request.answer_failed(start, [error] * (stop - start))
        if stage is Stage.SETUP:
            for request in requests:
                request.refuse(error)
        return [request for request in requests if not request.future.done()]

    # --- Its thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        be_nice(self._niceness)
        try:
            with heard_by(self._notes.notice):
                self._load()
                while self._serve():
                    pass
        except GivenUpError:
            logger.warning('%s: a call that was given up has come to its end', self.spec.plugin)
        except BaseException as error:
            self._broken(error)
        finally:
            self._on_end(self)
            self._close()
            self.closed.set()

    def _load(self) -> None:
        self._is_loading = True
        self.batch_limit = None
        # Nothing may hold the models that make room: their memory is wanted.
        before_load, self._before_load = self._before_load, None
        if before_load is not None:
            before_load()
            del before_load
        with self._watch.running():
            self._backend, self.memory_bytes = load(self.spec, self._made)
        self._is_loading = False
        self._resolve(None)
        if self._on_load is not None:
            self._on_load(self)

    def _made(self, backend: MLBackend) -> None:
        # Only a backend that runs in a process of its own can be stopped while it computes.
        self._kill = backend.kill if isinstance(backend, FencedBackend) else None

    def _broken(self, error: BaseException) -> None:
        failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
        if self._watch.given_up:
            return
        self._notes.record(Stage.SETUP if self._is_loading else Stage.PREDICT, error)
        self._breaker.failed()
        self._on_end(self)
        self.end(failure)

    def _resolve(self, error: Exception | None) -> None:
        with contextlib.suppress(InvalidStateError):
            if error is not None:
                self.loaded.set_exception(error)
            else:
                self.loaded.set_result(None)

    def _close(self) -> None:
        backend, self._backend, self._kill = self._backend, None, None
        try:
            if backend is not None:
                backend.close()
        except BaseException as error:
            self._notes.record(Stage.PREDICT, error)

    def _serve(self) -> bool:
        """Compute one batch; False when there will be no more."""
        backend = self._backend
        size = min(backend.max_batch, self.batch_limit or backend.max_batch)
        slices = self._inbox.next_batch(size, backend.max_delay)
        if not slices:
            return False
        has_crashed = self._work(backend, slices)
        if not has_crashed:
            return True
        self._close()
        if self._inbox.is_over:
            return False
        self._load()
        return True

    def _work(self, backend: MLBackend, slices: list[Slice]) -> bool:
        tasks = slices[0].tasks if len(slices) == 1 else [task for item in slices for task in item.tasks]
        refused: list[Exception] = []

        def predict(part: Sequence[Task], interaction: Interaction | None) -> list[Answer]:
            with self._watch.running():
                answers = call(backend, part, interaction)
            refused.extend(refuse_invalid(backend, part, answers))
            return answers

        started = time.monotonic()
        self._watch.restart()
        outcome = compute(predict, tasks, slices[0].request.interaction, self._patience)
        self._judge.count(slices, len(tasks), started, self._watch.seconds)
        if not self._inbox.done():
            raise GivenUpError
        self.last_used = time.monotonic()
        if outcome.fitting is not None:
            self.batch_limit = outcome.fitting
            logger.warning('%s: memory suffices for %d tasks in a batch', self.spec.plugin, outcome.fitting)
        succeeded = self._judge.judge(outcome, refused)
        _deliver(slices, outcome)
        if not succeeded:
            self._refuse_while_resting()
        return outcome.crash is not None

    def _refuse_while_resting(self) -> None:
        """Once the breaker is open, what waits is refused as new requests are."""
        if not self._breaker.is_open:
            return
        try:
            self._breaker.check()
        except CircuitOpenError as error:
            for request in self._inbox.empty():
                request.refuse(error)


def _deliver(slices: list[Slice], outcome: Outcome) -> None:
    cause = outcome.error if outcome.failed else None
    start = 0
    for request, first, last in slices:
        request.deliver(first, outcome.answers[start : start + last - first], cause)
        start += last - first
