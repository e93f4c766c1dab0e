"""Find runs that nobody works on any more, and queued ones that the queue has forgotten."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import connections
from django.db.models import Exists, OuterRef
from django.utils import timezone

from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.training.errors import QueueUnavailableError
from label_studio.ml_host.training.lifecycle import State, process_is_gone, process_is_here, retry_or_fail
from label_studio.ml_host.training.queueing import enqueue, queued_run_ids

logger = logging.getLogger(__name__)

# A run this young may be between its row and its job.
_SETTLING = timedelta(seconds=10)
# Native code can keep the interpreter, and with it the heartbeat, for minutes; while the process lives on this
# machine it is given this many times longer.
_BUSY_FACTOR = 20


def recover_lost_runs() -> int:
    """Put lost runs back into the queue, or mark them failed after `ML_RUN_ATTEMPTS` attempts.

    Returns:
        How many runs were dealt with.
    """
    return _recover_running() + _recover_queued()


def recover_in_passing() -> None:
    """For a worker between jobs: recover, log what goes wrong, and leave no database connection open."""
    try:
        recover_lost_runs()
    except Exception:
        logger.exception('Lost training runs could not be looked for')
    finally:
        connections.close_all()


def _recover_running() -> int:
    count = 0
    for run in TrainingRun.objects.filter(state=State.RUNNING):
        patience = settings.ML_RUN_LOST_AFTER * (_BUSY_FACTOR if process_is_here(run.worker) else 1)
        latest = timezone.now() - timedelta(seconds=patience)
        silent = (run.heartbeat_at or run.started_at or run.created_at) < latest
        if silent or process_is_gone(run.worker):
            retry_or_fail(run, 'The training process was lost: it ended or its machine stopped without a word.')
            count += 1
    return count


def _recover_queued() -> int:
    running = TrainingRun.objects.filter(
        project_id=OuterRef('project_id'), backend=OuterRef('backend'), state=State.RUNNING
    )
    # A run that waits for another one to end is started by that one; it needs no job.
    waiting = TrainingRun.objects.filter(state=State.QUEUED, created_at__lt=timezone.now() - _SETTLING)
    waiting = list(waiting.exclude(Exists(running)).order_by('id'))
    if not waiting:
        return 0
    try:
        known = queued_run_ids()
        forgotten = [run for run in waiting if run.pk not in known]
        for run in forgotten:
            logger.warning('Training run %s was not in the queue any more; it is queued again', run.pk)
            enqueue(run)
    except QueueUnavailableError as error:
        logger.warning('Queued training runs were not checked: %s', error)
        return 0
    return len(forgotten)
