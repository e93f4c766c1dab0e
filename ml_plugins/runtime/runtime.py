"""The models that are resident in this process, with their limits, breakers and watchdog."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from functools import partial

from ml_plugins.exceptions import BackendBusyError, MLPluginError
from ml_plugins.runtime.breaker import CircuitBreaker
from ml_plugins.runtime.inbox import ModelEndedError
from ml_plugins.runtime.limits import RuntimeLimits
from ml_plugins.runtime.model import ResidentModel
from ml_plugins.runtime.room import Room
from ml_plugins.runtime.spec import ModelSpec
from ml_plugins.runtime.waiting import Answer, Priority, Request
from ml_plugins.types import Interaction, Task

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
# A model may be unloaded between being found and being asked, several times under a tight budget.
TRIES = 5
# How long loading waits until the models that made room for it have left, in seconds.
LEAVING_SECONDS = 5.0


class Runtime:
    """Loads models on first use and hands requests to their threads."""

    def __init__(self, limits: RuntimeLimits | None = None) -> None:
        self.limits = limits or RuntimeLimits()
        self._models: dict[tuple, ResidentModel] = {}
        self._room = Room(self.limits)
        self._breakers: dict[tuple[str, int | None], CircuitBreaker] = {}
        self._lock = threading.Lock()
        self._watchdog: threading.Thread | None = None
        self._closed = threading.Event()

    def submit(
        self,
        spec: ModelSpec,
        tasks: Sequence[Task],
        interaction: Interaction | None = None,
        priority: Priority = Priority.OPEN,
        deadline: float | None = None,
    ) -> Future[list[Answer]]:
        """Queue tasks for a model, which is loaded first if it is not resident.

        Args:
            deadline: Value of ``time.monotonic()`` after which nothing is computed for these tasks any more; the
                future then fails with `DeadlineExceededError`.

        Returns:
            A future with one `Prediction`, `TaskFailure` or None a task. It fails with what the plugin raised when
            the plugin failed on all of the tasks. Cancelling it withdraws what is not yet computed.

        Raises:
            CircuitOpenError: The backend failed repeatedly and rests.
            BackendBusyError: The model's queue is full; it says when to try again.
        """
        for _ in range(TRIES):
            try:
                return self._resident(spec).submit(tasks, interaction, priority, deadline)
            except ModelEndedError as error:
                ended = error
        raise ended

    def warm(self, spec: ModelSpec) -> Future:
        """Load a model ahead of need; the future is done when it is ready."""
        return self._resident(spec).loaded

    def breaker(self, plugin: str, project_id: int | None) -> CircuitBreaker:
        """The circuit breaker of a plugin on a project."""
        with self._lock:
            return self._breaker(plugin, project_id)

    def breakers(self) -> dict[tuple[str, int | None], CircuitBreaker]:
        """Circuit breakers by plugin and project, of every model that was asked for so far."""
        with self._lock:
            return dict(self._breakers)

    def models(self) -> list[ResidentModel]:
        """Resident models, the most recently used first."""
        with self._lock:
            return sorted(self._models.values(), key=lambda model: -model.last_used)

    def drop(self, plugin: str, project_id: int | None, keep: tuple | None = None) -> None:
        """Unload a plugin's models of a project, except the one with the key `keep`; queued work is still done."""
        with self._lock:
            leaving = [
                key
                for key, model in self._models.items()
                if (model.spec.plugin, model.spec.project_id) == (plugin, project_id) and key != keep
            ]
            models = [self._models.pop(key) for key in leaving]
        for model in models:
            model.end()

    def keys(self, plugin: str, project_id: int | None) -> set[tuple]:
        """Keys of a plugin's resident models of a project."""
        with self._lock:
            specs = [model.spec for model in self._models.values()]
        return {spec.key for spec in specs if (spec.plugin, spec.project_id) == (plugin, project_id)}

    def is_ready(self, spec: ModelSpec) -> bool:
        """Whether a model is resident and loaded."""
        with self._lock:
            model = self._models.get(spec.key)
        return model is not None and model.is_ready

    def retire(self, keys: Collection[tuple]) -> None:
        """Unload models by their keys; queued work is still done."""
        with self._lock:
            models = [model for key in keys if (model := self._models.pop(key, None)) is not None]
        for model in models:
            model.end()

    def close(self) -> None:
        """Unload everything."""
        self._closed.set()
        with self._lock:
            models = list(self._models.values())
            self._models.clear()
        for model in models:
            model.end(BackendBusyError('the server is stopping'))

    def _breaker(self, plugin: str, project_id: int | None) -> CircuitBreaker:
        key = (plugin, project_id)
        if key not in self._breakers:
            self._breakers[key] = CircuitBreaker(self.limits.breaker_failures, self.limits.breaker_seconds)
        return self._breakers[key]

    def _resident(self, spec: ModelSpec) -> ResidentModel:
        with self._lock:
            if self._closed.is_set():
                raise BackendBusyError('the server is stopping')
            breaker = self._breaker(spec.plugin, spec.project_id)
            breaker.check()
            model = self._models.get(spec.key)
            return model if model is not None else self._add(spec, breaker)

    def _add(self, spec: ModelSpec, breaker: CircuitBreaker) -> ResidentModel:
        leaving = self._room.make_for(spec, self._models)
        model = ResidentModel(
            spec,
            breaker,
            self._forget,
            queue_limit=self.limits.queue,
            patience=self.limits.predict_seconds,
            before_load=partial(_wait_until_closed, leaving),
            on_load=self._loaded,
            niceness=self.limits.niceness,
        )
        self._models[spec.key] = model
        for other in leaving:
            other.end()
        self._watch()
        return model

    def _loaded(self, model: ResidentModel) -> None:
        with self._lock:
            leaving = self._room.loaded(model, self._models)
        for other in leaving:
            other.end()

    def _forget(self, model: ResidentModel) -> None:
        with self._lock:
            if self._models.get(model.spec.key) is model:
                del self._models[model.spec.key]

    def _watch(self) -> None:
        if self._watchdog is None or not self._watchdog.is_alive():
            self._watchdog = threading.Thread(target=self._watch_loop, name='model-watchdog', daemon=True)
            self._watchdog.start()

    def _watch_loop(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            for model in self.models():
                try:
                    self._replace_if_hanging(model)
                except Exception:
                    logger.exception('%s could not be watched', model.spec.plugin)

    def _replace_if_hanging(self, model: ResidentModel) -> None:
        waiting = model.give_up_if_hanging(self.limits.predict_seconds, self.limits.setup_seconds)
        if waiting is None:
            return
        self._forget(model)
        if waiting:
            logger.warning('%s: %d waiting requests move to a fresh load', model.spec.plugin, len(waiting))
            self._move(model.spec, waiting)

    def _move(self, spec: ModelSpec, requests: list[Request]) -> None:
        try:
            self._resident(spec).adopt(requests)
        except MLPluginError as error:
            for request in requests:
                request.refuse(error)


def _wait_until_closed(models: Sequence[ResidentModel]) -> None:
    end = time.monotonic() + LEAVING_SECONDS
    for model in models:
        model.closed.wait(max(0.0, end - time.monotonic()))


def wait(future: Future, seconds: float) -> bool:
    """Whether a future is done within some seconds."""
    end = time.monotonic() + seconds
    try:
        future.exception(timeout=max(0.0, end - time.monotonic()))
    except TimeoutError:
        return False
    return True
