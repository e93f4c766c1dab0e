"""Look at one backend of a project, and start a training where its labels ask for one."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.learning import counts, policy
from label_studio.ml_host.learning.counts import Standing
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import BackendEvent, ProjectBackend, TrainingRun


def look(row: ProjectBackend) -> TrainingRun | None:
    """Count the labels of a backend that learns; the run that was queued, or None where nothing was to be done.

    Raises:
        TrainingError: A training is due and cannot be queued: no Redis, or the backend cannot be imported.
    """
    settings = LearningSettings.of(row.learning)
    standing = counts.standing_of(row)
    since = _switched_on_at(row) if settings.at else None
    trigger = policy.due(settings, standing, timezone.now(), timezone.get_default_timezone(), since)
    if trigger is None or gate.active(row.project_id, row.backend) is None:
        return None
    return _start(row, standing, trigger)


def _start(row: ProjectBackend, standing: Standing, trigger: str) -> TrainingRun | None:
    from label_studio.ml_host.training import runs
    from label_studio.ml_host.training.queueing import check_queue

    # Before the lock: a Redis that does not answer must not keep people from writing.
    check_queue()
    with transaction.atomic():
        rows = ProjectBackend.objects.select_for_update(of=('self',)).select_related('project')
        mine = rows.filter(pk=row.pk, enabled=True, learns=True).first()
        if mine is None or _is_overtaken(mine, standing):
            return None
        return runs.request_training(mine.project, mine.backend, trigger=trigger)


def _is_overtaken(row: ProjectBackend, standing: Standing) -> bool:
    """Whether another process or a person was quicker: a run is there that was not when the labels were counted."""
    later = TrainingRun.objects.filter(project=row.project_id, backend=row.backend, pk__gt=standing.latest_run or 0)
    return later.filter(repeats=None).exists()


def _switched_on_at(row: ProjectBackend) -> datetime | None:
    switched = BackendEvent.objects.filter(
        project=row.project_id, backend=row.backend, action=BackendEvent.Action.LEARNING
    )
    return switched.values_list('created_at', flat=True).first()
