"""Changes of an analysis' state; each is one conditional update, so that two processes cannot both make it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from label_studio.ml_host.analysis.errors import AnalysisUnderWayError
from label_studio.ml_host.analysis.queueing import AnalysisQueueError, check_queue, enqueue, enqueue_or_wait
from label_studio.ml_host.models.analysis import Analysis
from label_studio.ml_host.training.errors import NotEnabledError
from label_studio.ml_host.training.lifecycle import process_name
from ml_plugins.plain import storable_text

logger = logging.getLogger(__name__)

State = Analysis.State
Run = TypeVar('Run', bound=Analysis)
# Ended runs of each project and backend that are kept.
KEPT = 10


def check_enabled(project: Any, backend: str) -> Any:
    """The row of an enabled backend, with its version in service. Raises `NotEnabledError`."""
    from label_studio.ml_host.enabling import gate

    row = gate.active(project.pk, backend)
    if row is None:
        raise NotEnabledError(f'ML backend "{backend}" is not enabled on project {project.pk}; enable it first.')
    return row


def start(model: type[Run], project: Any, backend: str, user: Any, options: Mapping[str, Any]) -> Run:
    """Queue a run.

    Raises:
        AnalysisUnderWayError: One waits or runs already.
        AnalysisQueueError: Redis cannot be reached; no run is left behind.
    """
    check_queue()
    try:
        with transaction.atomic():
            run = model.objects.create(project=project, backend=backend, created_by=user, options=dict(options))
    except IntegrityError:
        raise AnalysisUnderWayError(
            f'Another {model._meta.verbose_name} of "{backend}" is under way; wait for it or cancel it.'
        ) from None
    # A worker must not look for the row before it is committed.
    transaction.on_commit(lambda: _enqueue_new(run))
    _prune(model, project, backend)
    return run


def cancel(run: Analysis) -> None:
    """End a waiting run at once; ask a running one to stop. An ended run stays as it is."""
    rows = type(run).objects.filter(pk=run.pk)
    if not rows.filter(state=State.QUEUED).update(
        state=State.CANCELLED, cancel_requested=True, note='', ended_at=timezone.now()
    ):
        rows.filter(state=State.RUNNING).update(cancel_requested=True)
    run.refresh_from_db()


def owned(run: Run) -> QuerySet[Run]:
    """The run's row as long as this attempt at it is the current one."""
    return type(run).objects.filter(pk=run.pk, state=State.RUNNING, worker=run.worker, attempts=run.attempts)


def claim(model: type[Run], number: int) -> Run | None:
    """Take a queued run; None when it is not queued any more."""
    now = timezone.now()
    taken = model.objects.filter(pk=number, state=State.QUEUED).update(
        state=State.RUNNING,
        attempts=F('attempts') + 1,
        worker=process_name(),
        started_at=Coalesce('started_at', now),
        heartbeat_at=now,
        note='',
        error='',
        traceback='',
    )
    return model.objects.select_related('project').get(pk=number) if taken else None


def finish(run: Analysis, state: State, error: str = '', traceback: str = '', **more: Any) -> bool:
    """End a run that this process works on; False when it was taken away meanwhile."""
    fields = {'error': storable_text(error), 'traceback': storable_text(traceback), 'note': '', **more}
    return bool(owned(run).update(state=state, ended_at=timezone.now(), **fields))


def hand_back(run: Analysis, note: str) -> None:
    """Put a running run back into the queue; this does not count as an attempt."""
    _requeue(run, max(0, run.attempts - 1), note)


def retry_or_fail(run: Analysis, reason: str) -> None:
    """Deal with a run whose process died: cancelled if that was asked for, else again or failed."""
    run.refresh_from_db(fields=['cancel_requested'])
    if run.cancel_requested:
        finish(run, State.CANCELLED)
    elif run.attempts <= settings.ML_RUN_ATTEMPTS:
        logger.warning('%s is started again: %s', run, reason)
        _requeue(run, run.attempts, '')
    else:
        finish(run, State.FAILED, f'{reason} It was tried {run.attempts} times.' if run.attempts > 1 else reason)


def _requeue(run: Analysis, attempts: int, note: str) -> None:
    if owned(run).update(state=State.QUEUED, attempts=attempts, worker='', note=note):
        run.attempts, run.state = attempts, State.QUEUED
        enqueue_or_wait(run)


def _enqueue_new(run: Analysis) -> None:
    try:
        enqueue(run)
    except AnalysisQueueError:
        run.delete()
        raise


def _prune(model: type[Analysis], project: Any, backend: str) -> None:
    ended = model.objects.filter(project=project, backend=backend, state__in=Analysis.ENDED)
    model.objects.filter(pk__in=list(ended.values_list('pk', flat=True)[KEPT:])).delete()
