"""Predict many tasks of one project and store the predictions in bulk."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from django.conf import settings

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.prelabeling.store import Source, source_of, store
from label_studio.ml_host.serving import host
from label_studio.ml_host.task_data.resolver import HostTaskFiles, plugin_task
from ml_plugins.exceptions import MLPluginError
from ml_plugins.runtime import Priority
from ml_plugins.types import Prediction, TaskFailure

logger = logging.getLogger(__name__)

CHUNK = 256


@dataclass(frozen=True)
class Outcome:
    """What came of a bulk prediction.

    Attributes:
        label: Name of the version that predicted.
        made: Predictions stored.
        skipped: Tasks that had one of this version already.
        failures: Reasons why tasks have none, most frequent first.
    """

    label: str | None = None
    made: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()

    def describe(self) -> str:
        """The outcome in a sentence."""
        parts = [f'{self.made} predictions made' + (f' by {self.label}' if self.label else '')]
        if self.skipped:
            parts.append(f'{self.skipped} were there already')
        if self.failures:
            parts.append(f'{len(self.failures)} tasks have none ({Counter(self.failures).most_common(1)[0][0]})')
        return ', '.join(parts)


def predict_tasks(project_id: int, backend: str, tasks: Iterable) -> Outcome:
    """Predict upstream tasks with the version in service; tasks that have its prediction are skipped."""
    row = gate.active(project_id, backend)
    if row is None:
        return Outcome(failures=(f'{backend} is not enabled on this project',))
    try:
        if host.needs_training(row):
            return Outcome(failures=(f'{backend} has to be trained first',))
    except Exception as error:
        return Outcome(failures=(str(error),))
    source = source_of(row)
    made, skipped, failures = 0, 0, []
    for chunk in _chunks(tasks):
        done = _already_predicted(chunk, source)
        skipped += len(done)
        todo = [task for task in chunk if task.pk not in done]
        answers, reasons = _predict_chunk(row, todo)
        failures += reasons
        made += len(store(source, answers))
    return Outcome(source.label, made, skipped, tuple(failures))


def _chunks(tasks: Iterable) -> Iterator[list]:
    iterator = iter(tasks)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _already_predicted(tasks: list, source: Source) -> set[int]:
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    found = StoredPrediction.objects.filter(task_id__in=[task.pk for task in tasks], model_version=source.label)
    return set(found.values_list('task_id', flat=True))


def _predict_chunk(row, tasks: list) -> tuple[list[tuple[int, Prediction]], list[str]]:
    if not tasks:
        return [], []
    files = HostTaskFiles(row.project)
    spec = host.spec_for(row, row.project.label_config)
    try:
        future = host.runtime().submit(spec, [plugin_task(task, files) for task in tasks], priority=Priority.BULK)
        answers = future.result(timeout=settings.ML_PREDICT_TIMEOUT * len(tasks))
    except MLPluginError as error:
        return [], [str(error)] * len(tasks)
    except Exception as error:
        return [], [f'{type(error).__name__}: {error}'] * len(tasks)
    made = [(task.pk, answer) for task, answer in zip(tasks, answers, strict=True) if isinstance(answer, Prediction)]
    return made, [answer.reason for answer in answers if isinstance(answer, TaskFailure)]
