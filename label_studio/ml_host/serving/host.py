"""This process's resident models, and how a project's enabled backend becomes a model to load."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from functools import partial

from django.conf import settings

from label_studio.ml_host.http_backends.backend import backend_class_of
from label_studio.ml_host.http_backends.rows import is_http, number_of
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.serving.served import Served
from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import CircuitOpenError
from ml_plugins.registry import registry
from ml_plugins.runtime import ModelSpec, Runtime, RuntimeLimits
from ml_plugins.runtime.breaker import CircuitBreaker
from ml_plugins.runtime.model import ResidentModel
from ml_plugins.types import VersionFiles

logger = logging.getLogger(__name__)

IN_SERVICE = object()
# How long the version before stays in memory after a swap: longer than anybody keeps in mind which one to ask.
LEAVING_SECONDS = 3.0

_lock = threading.Lock()
_runtime: Runtime | None = None
_served = Served()


def runtime() -> Runtime:
    """The runtime of this process; made on first use."""
    global _runtime
    with _lock:
        if _runtime is None:
            _runtime = Runtime(
                RuntimeLimits(
                    models=settings.ML_RESIDENT_MODELS,
                    memory_bytes=settings.ML_MEMORY_BUDGET,
                    queue=settings.ML_QUEUE_TASKS,
                    niceness=settings.ML_NICENESS,
                    predict_seconds=settings.ML_PREDICT_TIMEOUT,
                    breaker_failures=settings.ML_BREAKER_FAILURES,
                    breaker_seconds=settings.ML_BREAKER_SECONDS,
                )
            )
        return _runtime


def reset() -> None:
    """Unload everything and start afresh, for tests and for the end of the server."""
    global _runtime, _served
    with _lock:
        ending, _runtime = _runtime, None
        _served = Served()
    if ending is not None:
        ending.close()


def spec_for(row: ProjectBackend, label_config: str, version: ModelVersion | object | None = IN_SERVICE) -> ModelSpec:
    """The model of an enabled backend: the version in service now, a given one, or None for the untrained one."""
    version = row.in_service if version is IN_SERVICE else version
    return ModelSpec(
        plugin=row.backend,
        project_id=row.project_id,
        label_config=label_config,
        backend_class=_class_of(row.backend),
        version_number=version.number if version else None,
        version_files=partial(_version_files, version) if version else None,
        params=dict(row.params),
        device=settings.ML_DEVICE,
        cache_directory=settings.ML_CACHE_DIR / row.backend / str(row.project_id),
    )


def needs_training(row: ProjectBackend) -> bool:
    """Whether nothing can be predicted because the first version is still missing."""
    return row.in_service is None and _class_of(row.backend)().needs_training


def embeds_untrained(row: ProjectBackend) -> bool:
    """Whether the version that is missing is not missed by active learning: embeddings come without one."""
    return needs_training(row) and registry.get(row.backend).backend_class().embeds_untrained


def at_hand(row: ProjectBackend, label_config: str) -> ProjectBackend:
    """The row with the version that this process predicts with now.

    That is the one in service; until it is loaded here, the one that was before it, so that nobody waits for a swap.
    """
    spec = spec_for(row, label_config)
    if runtime().is_ready(spec):
        if _served.note(spec):
            _dismiss_others(runtime(), spec)
        return row
    before = _served.before(spec)
    if before is None or not runtime().is_ready(before):
        return row
    if spec.key not in runtime().keys(row.backend, row.project_id):
        warm(row)
    number, version = before.version_number, None
    if number is not None:
        version = ModelVersion.objects.filter(project=row.project_id, backend=row.backend, number=number).first()
        if version is None:
            return row
    settled = copy(row)
    settled.in_service = version
    return settled


def warm(row: ProjectBackend) -> Future | None:
    """Load the model ahead of need and unload the project's older ones; None when there is nothing to load."""
    try:
        if needs_training(row):
            return None
        spec = spec_for(row, row.project.label_config)
        if _served.is_resting(spec):
            return None
        future = runtime().warm(spec)
    except CircuitOpenError as error:
        logger.info('%s is not warmed up: %s', row, error)
        return None
    future.add_done_callback(partial(_loaded, runtime(), spec))
    return future


def drop(project_id: int, backend: str) -> None:
    """Unload a backend's models of a project."""
    if _runtime is not None:
        _runtime.drop(backend, project_id)


def breaker_state(project_id: int, backend: str) -> str | None:
    """The circuit breaker's state in a phrase; None when all is well."""
    return runtime().breaker(backend, project_id).describe() or None


def reset_breaker(project_id: int, backend: str) -> None:
    """Let a resting backend work again."""
    runtime().breaker(backend, project_id).reset()


def breakers() -> dict[tuple[str, int | None], CircuitBreaker]:
    """Circuit breakers of this process by plugin and project."""
    return _runtime.breakers() if _runtime is not None else {}


def loaded_models() -> list[ResidentModel]:
    """Models resident in this process, the most recently used first."""
    return _runtime.models() if _runtime is not None else []


def is_served(project_id: int, backend: str, number: int | None) -> bool:
    """Whether this process predicts with that version, or loads it."""
    specs = [model.spec for model in loaded_models()]
    return any((spec.project_id, spec.plugin, spec.version_number) == (project_id, backend, number) for spec in specs)


def is_wanted(project_id: int, backend: str) -> bool:
    """Whether a new version is worth loading here: people use the one before it, or there is room."""
    models = loaded_models()
    if any((model.spec.project_id, model.spec.plugin) == (project_id, backend) for model in models):
        return True
    return len(models) < settings.ML_RESIDENT_MODELS


def _class_of(name: str) -> Callable[[], type[MLBackend]]:
    if is_http(name):
        return partial(backend_class_of, number_of(name))
    return registry.get(name).backend_class


def _loaded(where: Runtime, spec: ModelSpec, future: Future) -> None:
    if future.cancelled() or future.exception() is not None:
        _served.note_failure(spec)
        return
    from label_studio.ml_host.serving.service import targets

    _served.note(spec)
    # It keeps for a moment which version answers.
    targets.forget()
    _dismiss_others(where, spec)


def _dismiss_others(where: Runtime, spec: ModelSpec) -> None:
    others = where.keys(spec.plugin, spec.project_id) - {spec.key}
    if others:
        # Somebody may just be about to ask the one before.
        timer = threading.Timer(LEAVING_SECONDS, _retire, (where, spec, others))
        timer.daemon = True
        timer.start()


def _retire(where: Runtime, spec: ModelSpec, keys: set[tuple]) -> None:
    # Meanwhile one of them may have gone back into service.
    where.retire(keys - {_served.current(spec)})


def _version_files(version) -> VersionFiles:
    from label_studio.ml_host.versions.files import version_files

    return version_files(version)
