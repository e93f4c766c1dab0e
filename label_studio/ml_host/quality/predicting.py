"""Let one version answer tasks in a worker, batch by batch, without the threads of a web process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import MLPluginError, TaskDataError
from ml_plugins.failures import describe
from ml_plugins.registry import registry
from ml_plugins.runtime import ModelSpec
from ml_plugins.runtime.batching import compute
from ml_plugins.runtime.loading import call, load, refuse_invalid
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure, VersionFiles

logger = logging.getLogger(__name__)

# After so many batches without a single answer the rest is not tried.
_MOST_FAILED = 3
# A fenced backend whose process died is loaded again, so often at most.
_MOST_LOADS = 3


class UnusableVersionError(MLPluginError):
    """The version cannot be loaded, or raises on every task; the message says why."""

    code = 'unusable_version'


@dataclass
class Said:
    """What a version said.

    Attributes:
        predictions: By task; None where it has nothing to say.
        unreadable: Why tasks cannot be answered by anybody, e.g. a file that is gone.
        errors: Why the version failed on a task.
    """

    predictions: dict[int, Prediction | None] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)


def model_of(
    project: Any, backend: str, params: Mapping[str, Any], files: Callable[[], VersionFiles], device: str
) -> ModelSpec:
    """A version to load, with the project's label config of now."""
    return ModelSpec(
        plugin=backend,
        project_id=project.pk,
        label_config=project.label_config,
        backend_class=registry.get(backend).backend_class,
        version_files=files,
        params=dict(params),
        device=device,
        cache_directory=Path(settings.ML_CACHE_DIR) / backend / str(project.pk),
    )


def ask(spec: ModelSpec, tasks: Sequence[Task], should_stop: Callable[[], bool], said: Said | None = None) -> Said:
    """Load a version, have it answer tasks, and unload it.

    Args:
        should_stop: Asked before each batch; what was answered until then is returned.
        said: Where the answers go, for who wants to see them grow.

    Raises:
        UnusableVersionError: It cannot be loaded, or cannot predict.
    """
    said, rest = said or Said(), list(tasks)
    for attempt in range(_MOST_LOADS):
        try:
            backend, _ = load(spec)
        except (Exception, SystemExit) as error:
            if attempt and said.predictions:
                break
            raise UnusableVersionError(f'it cannot be loaded: {describe(error)}') from error
        try:
            rest = _answer(said, backend, rest, should_stop)
        finally:
            _close(backend)
        if not rest:
            break
    said.errors.update((task.id, 'its process died too often') for task in rest)
    if said.errors and not said.predictions:
        raise UnusableVersionError(f'it cannot predict: {next(iter(said.errors.values()))}')
    return said


def _answer(said: Said, backend: MLBackend, tasks: list[Task], should_stop: Callable[[], bool]) -> list[Task]:
    """Note what a loaded version says; gives the tasks that are left because its process died."""
    predict, failed_batches = _calls(backend), 0
    size = backend.max_batch
    for start in range(0, len(tasks), size):
        if should_stop():
            break
        batch = tasks[start : start + size]
        outcome = compute(predict, batch, None, settings.ML_PREDICT_TIMEOUT)
        _note(said, batch, outcome.answers)
        if outcome.crash is not None:
            return tasks[start + size :]
        failed_batches += all(task.id in said.errors for task in batch)
        if failed_batches == _MOST_FAILED and not said.predictions:
            break
    return []


def _close(backend: MLBackend) -> None:
    try:
        backend.close()
    except Exception:
        logger.exception('A measured version could not be closed')


def _calls(backend: MLBackend) -> Callable[[Sequence[Task], Interaction | None], list]:
    def predict(part: Sequence[Task], interaction: Interaction | None) -> list:
        answers = call(backend, part, interaction)
        given = list(answers)
        reasons = iter(refuse_invalid(backend, part, answers))
        # What does not fit the label config is the version's fault, unlike a task that it says it cannot read.
        return [answer if answer is before else next(reasons) for answer, before in zip(answers, given, strict=True)]

    return predict


def _note(said: Said, tasks: Sequence[Task], answers: Sequence[Any]) -> None:
    for task, answer in zip(tasks, answers, strict=True):
        if isinstance(answer, TaskFailure):
            said.unreadable[task.id] = answer.reason
        elif isinstance(answer, TaskDataError):
            said.unreadable[task.id] = str(answer)
        elif isinstance(answer, Exception):
            said.errors[task.id] = describe(answer)
        else:
            said.predictions[task.id] = answer
