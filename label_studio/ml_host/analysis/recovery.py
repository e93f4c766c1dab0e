"""Find analyses that nobody works on any more, and queued ones that the queue has forgotten."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import connections
from django.utils import timezone

from label_studio.ml_host.analysis.errors import AnalysisQueueError
from label_studio.ml_host.analysis.kinds import MODELS
from label_studio.ml_host.analysis.lifecycle import State, hand_back, retry_or_fail
from label_studio.ml_host.analysis.queueing import enqueue, queued
from label_studio.ml_host.models.analysis import Analysis
from label_studio.ml_host.training.lifecycle import process_is_gone, process_is_here, process_name

logger = logging.getLogger(__name__)

# A run this young may be between its row and its job.
_SETTLING = timedelta(seconds=10)
# Native code can keep the interpreter, and with it the heartbeat, for minutes.
_BUSY_FACTOR = 20


def recover_lost() -> int:
    """Put lost runs back into the queue, or mark them failed after `ML_RUN_ATTEMPTS` attempts; returns how many."""
    return sum(_recover_running(model) for model in MODELS.values()) + _recover_queued()


def recover_in_passing() -> None:
    """For a worker between jobs: recover, log what goes wrong, and leave no database connection open."""
    try:
        recover_lost()
    except Exception:
        logger.exception('Lost analyses could not be looked for')
    finally:
        connections.close_all()


def deal_with_killed(pid: int, is_stopping: bool, reason: str) -> None:
    """The child of a worker has ended without having written down how its analysis did.

    Args:
        is_stopping: The worker itself stops, and took the child with it.
        reason: Why it ended, in a sentence.
    """
    if not pid:
        return
    try:
        for model in MODELS.values():
            run = model.objects.filter(worker=process_name(pid), state=State.RUNNING).first()
            if run is None or not process_is_gone(run.worker):
                continue
            if is_stopping and not run.cancel_requested:
                hand_back(run, 'It waits for another worker.')
            else:
                retry_or_fail(run, reason)
    except Exception:
        logger.exception('The analysis of process %s lost it; it is recovered later', pid)
    finally:
        connections.close_all()


def _recover_running(model: type[Analysis]) -> int:
    count = 0
    for run in model.objects.filter(state=State.RUNNING):
        patience = settings.ML_RUN_LOST_AFTER * (_BUSY_FACTOR if process_is_here(run.worker) else 1)
        silent = (run.heartbeat_at or run.created_at) < timezone.now() - timedelta(seconds=patience)
        if silent or process_is_gone(run.worker):
            retry_or_fail(run, 'Its process was lost: it ended or its machine stopped without a word.')
            count += 1
    return count


def _recover_queued() -> int:
    settled = timezone.now() - _SETTLING
    waiting = [
        (kind, run)
        for kind, model in MODELS.items()
        for run in model.objects.filter(state=State.QUEUED, created_at__lt=settled).order_by('id')
    ]
    if not waiting:
        return 0
    try:
        known = queued()
        forgotten = [run for kind, run in waiting if (kind, run.pk) not in known]
        for run in forgotten:
            logger.warning('%s was not in the queue any more; it is queued again', run)
            enqueue(run)
    except AnalysisQueueError as error:
        logger.warning('Queued analyses were not checked: %s', error)
        return 0
    return len(forgotten)
