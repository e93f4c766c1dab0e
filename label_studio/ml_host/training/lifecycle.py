"""Changes of a run's state; each is one conditional update, so that two processes cannot both make it."""

from __future__ import annotations

import logging
import os
import socket
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.query import QuerySet
from django.utils import timezone

from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.training.queueing import enqueue_or_wait
from ml_plugins.plain import storable_text

logger = logging.getLogger(__name__)

State = TrainingRun.State


@lru_cache
def place() -> str:
    """The machine and process-id space of this process; process ids mean something only within one."""
    try:
        space = str(Path('/proc/self/ns/pid').readlink())
    except OSError:
        space = ''
    return f'{socket.gethostname()[:64]}/{space}'


def process_name(pid: int | None = None) -> str:
    """What stands in ``TrainingRun.worker`` while this process, or another one beside it, works on a run."""
    return f'{place()}/{pid or os.getpid()}'


def process_is_gone(worker: str) -> bool:
    """Whether a run's process is known to have ended; only knowable on the machine where it ran."""
    return _is_alive(worker) is False


def process_is_here(worker: str) -> bool:
    """Whether a run's process is alive on this machine."""
    return _is_alive(worker) is True


def _is_alive(worker: str) -> bool | None:
    where, _, number = worker.rpartition('/')
    if where != place() or not number.isdigit():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def owned(run: TrainingRun) -> QuerySet[TrainingRun]:
    """The run's row as long as this attempt at it is the current one."""
    return TrainingRun.objects.filter(pk=run.pk, state=State.RUNNING, worker=run.worker, attempts=run.attempts)


def claim(run_id: int) -> TrainingRun | None:
    """Take a queued run.

    Returns:
        The run, now running; None when it is not queued any more or when another run of the same project and backend
        is running.
    """
    now = timezone.now()
    try:
        with transaction.atomic():
            taken = TrainingRun.objects.filter(pk=run_id, state=State.QUEUED).update(
                state=State.RUNNING,
                attempts=F('attempts') + 1,
                worker=process_name(),
                started_at=now,
                heartbeat_at=now,
                ended_at=None,
                done=0,
                total=0,
                metrics={},
                skipped=[],
                error='',
                traceback='',
            )
    except IntegrityError:
        return None
    return TrainingRun.objects.select_related('project').get(pk=run_id) if taken else None


def finish(run: TrainingRun, state: State, error: str = '', traceback: str = '') -> bool:
    """End a run that this process works on; False when it was taken away meanwhile."""
    ended = owned(run).update(
        state=state, error=storable_text(error), traceback=storable_text(traceback), ended_at=timezone.now()
    )
    return bool(ended)


def hand_back(run: TrainingRun) -> None:
    """Put a running run back into the queue because its worker stops; this does not count as an attempt."""
    _requeue(run, attempts=max(0, run.attempts - 1))


def retry_or_fail(run: TrainingRun, reason: str) -> None:
    """Deal with a run whose process died: cancelled if that was asked for, else again or failed."""
    run.refresh_from_db(fields=['cancel_requested'])
    if run.cancel_requested:
        finish(run, State.CANCELLED)
    elif run.attempts <= settings.ML_RUN_ATTEMPTS:
        logger.warning('Training run %s is started again: %s', run.pk, reason)
        _requeue(run, attempts=run.attempts)
    else:
        finish(run, State.FAILED, f'{reason} It was tried {run.attempts} times.' if run.attempts > 1 else reason)


def start_waiting(ended: TrainingRun) -> None:
    """Enqueue the run that waited for this one of the same project and backend to end."""
    waiting = TrainingRun.objects.filter(project=ended.project_id, backend=ended.backend, state=State.QUEUED)
    for run in waiting.exclude(pk=ended.pk):
        enqueue_or_wait(run)


def _requeue(run: TrainingRun, attempts: int) -> None:
    try:
        with transaction.atomic():
            moved = owned(run).update(state=State.QUEUED, attempts=attempts, worker='', done=0, total=0)
    except IntegrityError:
        # A newer run waits already; it will train on everything that this one would have seen.
        finish(run, State.CANCELLED, 'The training process stopped; a newer run was waiting and takes its place.')
        start_waiting(run)
        return
    if moved:
        run.attempts, run.state = attempts, State.QUEUED
        enqueue_or_wait(run)
