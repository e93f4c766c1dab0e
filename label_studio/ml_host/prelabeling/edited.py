"""Tasks whose data people change: what a model said of the data before is neither shown nor chosen by any more."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

from django.db import transaction

from label_studio.ml_host.models import ProjectBackend, SampledTask, TaskScore
from label_studio.ml_host.sampling import feeding

logger = logging.getLogger(__name__)


def task_changed(original: Callable[..., Any], serializer: Any, instance: Any, validated_data: Any) -> Any:
    """Seam of ``TaskSimpleSerializer.update``: a task with other data is predicted anew when it is opened."""
    before = copy.deepcopy(instance.data)
    with transaction.atomic():
        task = original(serializer, instance, validated_data)
        if task.data != before:
            _forget(task)
    return task


def _forget(task: Any) -> None:
    """Remove what plugins said of a task; predictions that annotations began with stay for their sake."""
    from label_studio.ml_host.upstream import Annotation, Prediction

    connections = ProjectBackend.objects.filter(project_id=task.project_id).exclude(connection=None)
    said = Prediction.objects.filter(task=task, model_id__in=connections.values('connection_id'))
    used = Annotation.objects.filter(task=task).exclude(parent_prediction=None).values('parent_prediction_id')
    outdated = list(said.exclude(pk__in=used))
    for prediction in outdated:
        prediction.delete()
    # In the queue it stands where its old data belong; it comes again when it is scored again.
    SampledTask.objects.filter(project_id=task.project_id, task_id=task.pk, served_at=None).delete()
    TaskScore.objects.filter(project_id=task.project_id, task_id=task.pk).delete()
    transaction.on_commit(lambda: feeding.forget(task.project_id, [task.pk]))
    if outdated:
        logger.info('The data of task %d changed: %d predictions of plugins are removed', task.pk, len(outdated))
