"""Predict tasks because upstream asks for it: a few within its request, many in a run of their own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.store import Source, source_of, store
from label_studio.ml_host.serving import host
from label_studio.ml_host.task_data.resolver import files_of_project, plugin_task
from ml_plugins.exceptions import MLPluginError
from ml_plugins.runtime import Priority
from ml_plugins.types import Prediction, TaskFailure

logger = logging.getLogger(__name__)

# A page of the Data Manager is predicted at once; nobody waits for more than that.
FEW = 100


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        label: Name of the version that predicted or will predict; None when there is nothing to expect.
        made: Predictions stored so far.
        failures: Reasons why tasks have none.
    """

    label: str | None = None
    made: int = 0
    failures: tuple[str, ...] = ()


def predict_tasks(project_id: int, backend: str, tasks) -> Outcome:
    """Predict upstream tasks, a list or a queryset, with the version in service; predicted ones are left out."""
    row = gate.active(project_id, backend)
    if row is None:
        return Outcome(failures=(f'{backend} is not enabled on this project',))
    first = list(tasks[: FEW + 1])
    try:
        if len(first) > FEW:
            ids = [task.pk for task in tasks] if isinstance(tasks, list) else tasks.values_list('id', flat=True)
            return Outcome(runs.start(row.project, backend, ids).label)
        if host.needs_training(row):
            return Outcome(failures=(f'{backend} has to be trained first',))
        return _predict(row, first)
    except Exception as error:  # a plugin's class may raise anything while it is imported
        logger.info('%s predicts nothing: %s', row, error)
        return Outcome(failures=(str(error),))


def _predict(row: ProjectBackend, tasks: list) -> Outcome:
    row = host.at_hand(row, row.project.label_config)
    source = source_of(row)
    done = _already_predicted(tasks, source)
    answers, reasons = _answers(row, [task for task in tasks if task.pk not in done])
    return Outcome(source.label, len(store(source, answers)), tuple(reasons))


def _already_predicted(tasks: Sequence, source: Source) -> set[int]:
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    found = StoredPrediction.objects.filter(task_id__in=[task.pk for task in tasks], model_version=source.label)
    return set(found.values_list('task_id', flat=True))


def _answers(row: ProjectBackend, tasks: list) -> tuple[list[tuple[int, Prediction]], list[str]]:
    if not tasks:
        return [], []
    files = files_of_project(row.project)
    spec = host.spec_for(row, row.project.label_config)
    try:
        future = host.runtime().submit(spec, [plugin_task(task, files) for task in tasks], priority=Priority.OPEN)
        answers = future.result(timeout=settings.ML_PREDICT_TIMEOUT)
    except MLPluginError as error:
        return [], [str(error)] * len(tasks)
    except Exception as error:
        return [], [f'{type(error).__name__}: {error}'] * len(tasks)
    made = [(task.pk, answer) for task, answer in zip(tasks, answers, strict=True) if isinstance(answer, Prediction)]
    return made, [answer.reason for answer in answers if isinstance(answer, TaskFailure)]
