"""The models that are resident in this process, with their limits, breakers and watchdog."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from ml_plugins.exceptions import BackendBusyError
from ml_plugins.runtime.breaker import CircuitBreaker
from ml_plugins.runtime.model import Priority, ResidentModel
from ml_plugins.runtime.spec import ModelSpec
from ml_plugins.types import Interaction, Task

WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class RuntimeLimits:
    """Limits of one process.

    Attributes:
        models: Resident models kept; the least recently used one leaves first.
        predict_seconds: How long one batch, or loading, may take before the model counts as hanging.
        setup_seconds: How long loading may take.
        breaker_failures: Failures in a row that open the circuit breaker.
        breaker_seconds: How long it stays open.
    """

    models: int = 4
    predict_seconds: float = 60.0
    setup_seconds: float = 300.0
    breaker_failures: int = 3
    breaker_seconds: float = 60.0


class Runtime:
    """Loads models on first use and hands requests to their threads."""

    def __init__(self, limits: RuntimeLimits | None = None) -> None:
        self.limits = limits or RuntimeLimits()
        self._models: dict[tuple, ResidentModel] = {}
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
    ) -> Future:
        """Queue tasks for a model, which is loaded first if it is not resident.

        Returns:
            A future with one `Prediction`, `TaskFailure` or None a task. It fails with what the plugin raised.

        Raises:
            CircuitOpenError: The backend failed repeatedly and rests.
            BackendBusyError: The model's queue is full.
        """
        for _ in range(2):
            try:
                return self._resident(spec).submit(tasks, interaction, priority)
            except BackendBusyError as error:
                busy = error
                if 'unloaded' not in str(error):
                    raise
        raise busy

    def warm(self, spec: ModelSpec) -> Future:
        """Load a model ahead of need; the future is done when it is ready."""
        return self._resident(spec).loaded

    def breaker(self, plugin: str, project_id: int | None) -> CircuitBreaker:
        """The circuit breaker of a plugin on a project."""
        with self._lock:
            return self._breaker(plugin, project_id)

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
            breaker = self._breaker(spec.plugin, spec.project_id)
            breaker.check()
            model = self._models.get(spec.key)
            if model is None:
                model = ResidentModel(spec, breaker, self._forget)
                self._models[spec.key] = model
                self._watch()
            leaving = self._over_limit(spec.key)
        for other in leaving:
            other.end()
        return model

    def _over_limit(self, newest: tuple) -> list[ResidentModel]:
        surplus = len(self._models) - self.limits.models
        if surplus <= 0:
            return []
        by_age = sorted((key for key in self._models if key != newest), key=lambda key: self._models[key].last_used)
        return [self._models.pop(key) for key in by_age[:surplus]]

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
                loaded = model.loaded.done()
                limit = self.limits.predict_seconds if loaded else self.limits.setup_seconds
                if model.abandon_if_hanging(limit):
                    self._forget(model)


def wait(future: Future, seconds: float) -> bool:
    """Whether a future is done within some seconds."""
    end = time.monotonic() + seconds
    try:
        future.exception(timeout=max(0.0, end - time.monotonic()))
    except TimeoutError:
        return False
    return True
