"""Load a model and find out what it takes; call it and refuse what it must not return."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import PredictionError
from ml_plugins.runtime import metrics
from ml_plugins.runtime.memory import resident_bytes
from ml_plugins.runtime.spec import ModelSpec
from ml_plugins.runtime.waiting import Answer
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure


def load(spec: ModelSpec, on_made: Callable[[MLBackend], None] | None = None) -> tuple[MLBackend, int]:
    """A backend that is ready, and the bytes of memory that it takes; `on_made` gets it before it is set up."""
    started, before = time.monotonic(), resident_bytes()
    is_ok = False
    try:
        backend = spec.load(on_made)
        _check_numbers(backend)
        said = backend.memory_bytes()
        taken = resident_bytes() - before if said is None else int(said)
        is_ok = True
    finally:
        metrics.load(spec.plugin, time.monotonic() - started, is_ok)
    return backend, max(0, taken)


def call(backend: MLBackend, tasks: Sequence[Task], interaction: Interaction | None) -> list[Any]:
    """What the backend returns for a batch, one item a task.

    Raises:
        PredictionError: It returned another number of items.
    """
    answers = backend.predict(tasks, interaction)
    answers = [] if answers is None else list(answers)
    if len(answers) != len(tasks):
        raise PredictionError(f'predict returned {len(answers)} items for {len(tasks)} tasks')
    return answers


def refuse_invalid(backend: MLBackend, tasks: Sequence[Task], answers: list[Any]) -> list[PredictionError]:
    """Put a `TaskFailure` in the place of each answer that is none or does not fit the label config.

    Returns:
        Why, for each of them.
    """
    errors = []
    for index, answer in enumerate(answers):
        try:
            _check(backend, answer)
        except Exception as error:
            task = tasks[index]
            errors.append(PredictionError(f'task {task.id}: {error}'))
            answers[index] = TaskFailure(task.id, str(errors[-1]))
    return errors


def _check(backend: MLBackend, answer: Answer) -> None:
    if isinstance(answer, Prediction):
        backend.label_config.check(answer)
    elif answer is not None and not isinstance(answer, TaskFailure):
        raise PredictionError(f'predict returned {type(answer).__name__}, not a Prediction')


def _check_numbers(backend: MLBackend) -> None:
    size, delay = backend.max_batch, backend.max_delay
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise PredictionError(f'max_batch is {size!r}; it must be a whole number from 1 on')
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= 60:
        raise PredictionError(f'max_delay is {delay!r}; it must be seconds from 0 to 60')
