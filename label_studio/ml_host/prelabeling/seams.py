"""What upstream does differently for plugins when tasks are opened or predictions are retrieved."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.enabling.services import plugin_name
from label_studio.ml_host.prelabeling import bulk, on_open, runs
from label_studio.ml_host.prelabeling.store import as_shown, source_of
from label_studio.ml_host.sdk.gateway import is_answering

logger = logging.getLogger(__name__)

# Set while a task is being opened: upstream's own attempt to predict it would only repeat ours.
_opening: ContextVar[bool] = ContextVar('opening', default=False)


def open_task(original: Callable[..., Any], view, request, pk, *args, **kwargs):
    """Seam of ``TaskAPI.get``: the opened task carries the prediction of the version in service, none of older ones.

    Where there is none in time, those of older versions say that they are old.
    """
    project = view.task.project
    known = list(view.task.predictions.all())
    rows = gate.active_of_project(project.pk) if known or project.show_collab_predictions else []
    selected = on_open.selected_of(rows, project)
    if selected is not None and not any(item.model_version == source_of(selected).label for item in known):
        made = on_open.predict(view.task, selected)
        # Made anew, or stored already by the version that predicts until the new one is loaded.
        known += [made] if made is not None and made.pk not in {item.pk for item in known} else []
    for row in rows:
        known = as_shown(known, source_of(row))
    if rows:
        _set_prefetched(view.task, known)
    token = _opening.set(selected is not None)
    try:
        return original(view, request, pk, *args, **kwargs)
    finally:
        _opening.reset(token)


def annotation_created(original: Callable[..., Any], view, serializer):
    """Seam of ``AnnotationsListAPI.perform_create``: the annotation carries a copy of the prediction it began with."""
    annotation = original(view, serializer)
    if annotation.prediction or annotation.result is None:
        return annotation
    row = on_open.selected_backend(view.parent_object.project)
    if row is not None and (copy := _copy_of_prediction(annotation, row)):
        annotation.prediction = copy
        # Not `save`, which would count and announce the annotation once more.
        type(annotation).objects.filter(pk=annotation.pk).update(prediction=copy)
    return annotation


def predictions_for_stream(original: Callable[..., Any], task):
    """Seam of ``Task.get_predictions_for_prelabeling``: one predict, no health or setup round trip."""
    row = on_open.selected_backend(task.project, task.pk)
    if row is None:
        return original(task)
    source = source_of(row)
    if row.predicted_by == source.label:
        return task.predictions.filter(model_version=source.label)
    made = on_open.predict(task, row)
    return as_shown([made], source) if made is not None else []


def project_deleted(original: Callable[..., Any], view, instance):
    """Seam of ``ProjectAPI.perform_destroy``: no bulk run writes any more while the project is being deleted."""
    runs.cancel_all(instance.pk, 'The project was deleted.', view.request.user)
    return original(view, instance)


def predict_tasks(original: Callable[..., Any], connection, tasks):
    """Seam of ``MLBackend.predict_tasks``: plugins predict in process and store in bulk."""
    name = plugin_name(connection.url)
    if not name:
        return original(connection, tasks)
    if _opening.get() or is_answering.get():
        return None
    outcome = bulk.predict_tasks(connection.project_id, name, tasks)
    return outcome.label


def _copy_of_prediction(annotation, row) -> dict[str, Any]:
    """What the editor says the annotation was made from, else the prediction of the version in service."""
    from django.db.models import Q

    from label_studio.ml_host.upstream import Prediction, PredictionSerializer

    shown = Q(pk=annotation.parent_prediction_id) | Q(model_version=source_of(row).label)
    found = Prediction.objects.filter(shown, task_id=annotation.task_id).order_by('id')
    # Compared here: SQLite would go through all predictions of the backend instead of these few.
    own = [item for item in found if item.model_id == row.connection_id]
    best = max(own, key=lambda item: item.pk == annotation.parent_prediction_id, default=None)
    return PredictionSerializer(best).data if best is not None else {}


def _set_prefetched(task, predictions: list) -> None:
    """Make ``task.predictions`` hold these rows without another query; the view prefetched the relation."""
    queryset = task.predictions.all()
    queryset._result_cache = predictions
    queryset._prefetch_done = True
    task._prefetched_objects_cache['predictions'] = queryset
