"""The queue of analyses in Redis: a job only says which run to look at; the run's row holds everything else."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from redis.exceptions import RedisError

from label_studio.ml_host.analysis.errors import AnalysisQueueError
from label_studio.ml_host.analysis.kinds import kind_of

if TYPE_CHECKING:
    from rq import Queue

    from label_studio.ml_host.models.analysis import Analysis

logger = logging.getLogger(__name__)

JOB = 'label_studio.ml_host.analysis.jobs.analyse'
_PREFIX = 'ml-analysis-'
_KEEP_SECONDS = 3600
# Queues of the worker that this process works for.
_served: frozenset[str] = frozenset()


def check_queue() -> None:
    """Fail early and clearly when nothing can be queued. Raises `AnalysisQueueError`."""
    try:
        _queue(settings.ML_ANALYSIS_QUEUE).connection.ping()
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error


def enqueue(run: Analysis) -> None:
    """Put a job for the run into the queue; a second job for the same run does no harm.

    Raises:
        AnalysisQueueError: Redis cannot be reached.
    """
    kind = kind_of(run)
    try:
        _queue(settings.ML_ANALYSIS_QUEUE).enqueue(
            JOB,
            kind,
            run.pk,
            # Each job has a name of its own: a name used again would mix with the job that is about to end.
            job_id=f'{_PREFIX}{kind}-{run.pk}-{uuid.uuid4().hex[:8]}',
            result_ttl=_KEEP_SECONDS,
            failure_ttl=_KEEP_SECONDS,
        )
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error


def enqueue_or_wait(run: Analysis) -> None:
    """Put a job into the queue; without Redis the run stays queued and the next recovery enqueues it."""
    try:
        enqueue(run)
    except AnalysisQueueError as error:
        logger.warning('%s waits for the queue: %s', run, error)


def queued() -> set[tuple[str, int]]:
    """Kind and number of the runs that have a job in Redis, waiting or taken by a worker.

    Raises:
        AnalysisQueueError: Redis cannot be reached.
    """
    try:
        queue = _queue(settings.ML_ANALYSIS_QUEUE)
        names = [
            *queue.get_job_ids(),
            *queue.intermediate_queue.get_job_ids(),
            *queue.started_job_registry.get_job_ids(),
        ]
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error
    found = (name.removeprefix(_PREFIX).rsplit('-', 2) for name in names if name.startswith(_PREFIX))
    return {(kind, int(number)) for kind, number, _ in found}


def note_served(names: Iterable[str]) -> None:
    """Remember which queues the worker of this process takes jobs from."""
    global _served
    _served = frozenset(names)


def others_wait() -> bool:
    """Whether a training or a pre-labeling waits that this worker could do; without Redis nobody can tell."""
    try:
        others = {settings.ML_TRAIN_QUEUE, settings.ML_PREDICT_QUEUE} & _served
        return any(_queue(name).count for name in others)
    except (RedisError, OSError):
        return False


def _queue(name: str) -> Queue:
    import django_rq

    return django_rq.get_queue(name)


def _unavailable(error: Exception) -> AnalysisQueueError:
    return AnalysisQueueError(
        f'The queue cannot be reached ({error}). Check that Redis is running, then press the button again.'
    )
