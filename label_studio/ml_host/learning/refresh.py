"""After another version went into service: predict again what an older one predicted and nobody has labeled yet."""

from __future__ import annotations

import logging
from typing import Any

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.selection import pack
from label_studio.ml_host.prelabeling.store import Source, source_of

logger = logging.getLogger(__name__)

OVERTAKEN = 'Another version is in service now; its own refresh takes the place of this one.'


def after_version(row: ProjectBackend) -> PrelabelRun | None:
    """Queue the refresh of a backend whose version in service has changed; called once that is committed.

    What an older version predicted is replaced, unless an annotation came from it. Tasks come by their number, which is
    the order in which they are given out, so that those that are shown soonest come first; a task that is opened before
    is predicted then.

    Args:
        row: The backend's row; it is read again.

    Returns:
        The run; None where nothing is to be refreshed. It never raises: a version is in service without it.
    """
    try:
        return _refresh(row.project_id, row.backend)
    except Exception:
        logger.exception('The predictions of %s could not be refreshed', row)
        return None


def _refresh(project_id: int, backend: str) -> PrelabelRun | None:
    for run in PrelabelRun.objects.filter(project=project_id, backend=backend, refresh=True):
        if not run.has_ended:
            runs.cancel(run, reason=OVERTAKEN)
    row = gate.active(project_id, backend)
    if row is None or row.in_service is None or not row.learns or not LearningSettings.of(row.learning).refresh:
        return None
    packed, numbers = pack(_outdated(source_of(row)))
    if not numbers:
        return None
    options = {'skip_labeled': True, 'refresh': True}
    return runs.create_run(row, row.in_service, (numbers[0], numbers[-1]), len(numbers), packed, options, None)


def _outdated(source: Source) -> Any:
    """Unlabeled tasks that have a prediction of the backend, and none of the version in service."""
    from label_studio.ml_host.upstream import Prediction

    own = Prediction.objects.filter(project_id=source.project_id, model_id=source.connection_id).order_by()
    current = own.filter(model_version=source.label).values('task_id')
    older = own.exclude(model_version=source.label).filter(task__is_labeled=False).exclude(task_id__in=current)
    return older.values_list('task_id', flat=True).distinct().iterator(chunk_size=10_000)
