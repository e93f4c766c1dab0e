"""A bulk run's side of the runtime: hands tasks in, waits out what passes, and says when nothing will help."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from django.conf import settings

from label_studio.ml_host.prelabeling.lease import Lease
from label_studio.ml_host.serving import host
from ml_plugins.exceptions import (
    BackendAwayError,
    BackendBusyError,
    CircuitOpenError,
    MLPluginError,
    PredictTimeoutError,
)
from ml_plugins.failures import describe
from ml_plugins.runtime import ModelSpec, Priority
from ml_plugins.types import Prediction, Task, TaskFailure

logger = logging.getLogger(__name__)

Answer = Prediction | TaskFailure | None
# So many rests of the circuit breaker in a row, without a single prediction between them, end a run.
MOST_RESTS = 3
_POLL_SECONDS = 0.5


class StoppedError(Exception):
    """The work was asked to stop; what is not written is for whoever goes on."""


class HopelessError(Exception):
    """The model cannot work now; the message is the run's reason, and it can be resumed."""


class ModelClient:
    """Asks one model on behalf of a run.

    Args:
        spec: The model.
        lease: Its `stop` ends every wait.
        say: Shows what the run waits for; an empty text when it goes on.
    """

    def __init__(self, spec: ModelSpec, lease: Lease, say: Callable[[str], None]) -> None:
        self._spec = spec
        self._stop = lease.stop
        self._say = say
        self._rests = 0
        self._note = ''
        self._last_error = ''
        self._away_since: float | None = None

    def load(self) -> None:
        """Have the model ready. Raises `HopelessError` when its setup fails, or `StoppedError`."""
        while True:
            future = self._patient(lambda: host.runtime().warm(self._spec))
            try:
                self._wait(future, is_ours=False)
            except BackendBusyError as error:
                self._pause(error.retry_after)
            except (StoppedError, HopelessError):
                raise
            except Exception as error:
                raise HopelessError(f'The model cannot be loaded: {_sentence(error)}') from error
            else:
                return

    def submit(self, tasks: Sequence[Task], may_wait: bool) -> Future | None:
        """Hand tasks in; None when the queue is full and the caller would rather do something else first."""
        try:
            return self._patient(lambda: host.runtime().submit(self._spec, tasks, priority=Priority.BULK), may_wait)
        except BackendBusyError:
            return None

    def answers(self, tasks: Sequence[Task], future: Future) -> Sequence[Answer]:
        """Wait for one answer a task; what fails for good is a `TaskFailure`."""
        while True:
            try:
                answers = self._wait(future)
            except (BackendBusyError, CircuitOpenError) as error:
                self._pause(getattr(error, 'retry_after', _POLL_SECONDS))
                future = self.submit(tasks, may_wait=True)
            except PredictTimeoutError as error:
                return self._failed(tasks, error)
            except (StoppedError, HopelessError):
                raise
            except BackendAwayError as error:
                # It is not the tasks' fault: they wait for it.
                self._wait_for_return(error)
                future = self.submit(tasks, may_wait=True)
            except Exception as error:
                self._check_loads()
                return self._failed(tasks, error)
            else:
                if any(isinstance(answer, Prediction) for answer in answers):
                    self._rests = 0
                    self._away_since = None
                return answers

    def _wait_for_return(self, error: BackendAwayError) -> None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        self._last_error = _sentence(error)
        # As long as a circuit breaker would let it rest.
        if now - self._away_since > MOST_RESTS * settings.ML_BREAKER_SECONDS:
            raise HopelessError(self._last_error) from error
        self._tell(f'Waiting: {self._last_error}')
        self._pause(error.retry_after)

    def _failed(self, tasks: Sequence[Task], error: Exception) -> list[Answer]:
        self._last_error = _sentence(error)
        return [TaskFailure(task.id, self._last_error) for task in tasks]

    def _check_loads(self) -> None:
        """Tell a model that cannot even be loaded from one that fails at its work."""
        try:
            future = host.runtime().warm(self._spec)
        except (CircuitOpenError, BackendBusyError):
            return
        try:
            self._wait(future, is_ours=False)
        except (StoppedError, BackendBusyError):
            return
        except Exception as error:
            raise HopelessError(f'The model cannot be loaded: {_sentence(error)}') from error

    def _patient(self, action: Callable[[], Any], may_wait: bool = True) -> Any:
        rests = False
        while True:
            try:
                result = action()
            except CircuitOpenError as error:
                if not rests:
                    rests = True
                    self._count_rest(error)
                self._tell(f'Waiting: {self._spec.plugin} rests, {error}.')
                self._pause(_POLL_SECONDS)
            except BackendBusyError as error:
                if not may_wait:
                    raise
                self._pause(error.retry_after)
            except MLPluginError as error:
                raise HopelessError(_sentence(error)) from error
            else:
                self._tell('')
                return result

    def _count_rest(self, error: CircuitOpenError) -> None:
        self._rests += 1
        if self._rests > MOST_RESTS:
            why = self._last_error or str(error)
            raise HopelessError(f'{self._spec.plugin} rested {MOST_RESTS} times without a prediction between. {why}')

    def _wait(self, future: Future, is_ours: bool = True) -> Any:
        """The future's result; `StoppedError` when it is not wanted any more.

        Args:
            is_ours: Nobody else waits for it. A loaded model is waited for by everybody who wants to ask it.
        """
        while True:
            if self._stop.is_set():
                if is_ours:
                    future.cancel()
                raise StoppedError
            try:
                return future.result(timeout=_POLL_SECONDS)
            except FutureTimeoutError:
                if future.done():
                    raise

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stop.is_set():
            self._stop.wait(min(left, _POLL_SECONDS))
        if self._stop.is_set():
            raise StoppedError

    def _tell(self, note: str) -> None:
        if note != self._note:
            self._note = note
            self._say(note)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, MLPluginError) else describe(error)
