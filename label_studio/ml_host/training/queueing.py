"""The training queue in Redis: jobs only say which run to look at; the run's row holds everything else."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from redis.exceptions import RedisError

from label_studio.ml_host.training.errors import QueueUnavailableError

if TYPE_CHECKING:
    from rq import Queue

    from label_studio.ml_host.models import TrainingRun

logger = logging.getLogger(__name__)

JOB = 'label_studio.ml_host.training.jobs.train'
VERSION_CHANNEL = 'ml:version'
_PREFIX = 'ml-train-'
# Jobs carry no result worth keeping; what happened stands in the run's row.
_KEEP_SECONDS = 3600


def training_queue() -> Queue:
    """The django-rq queue of training runs."""
    import django_rq

    return django_rq.get_queue(settings.ML_TRAIN_QUEUE)


def check_queue() -> None:
    """Fail early and clearly when nothing can be queued. Raises `QueueUnavailableError`."""
    try:
        training_queue().connection.ping()
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error


def enqueue(run: TrainingRun) -> None:
    """Put a job for the run into the queue; a second job for the same run does no harm.

    Raises:
        QueueUnavailableError: Redis cannot be reached.
    """
    # Each job has a name of its own: a name used again would mix with the job that is about to end.
    job_id = f'{_PREFIX}{run.pk}-{run.attempts}-{uuid.uuid4().hex[:8]}'
    try:
        training_queue().enqueue(
            JOB,
            run.pk,
            job_id=job_id,
            job_timeout=settings.ML_TRAINING_TIMEOUT,
            result_ttl=_KEEP_SECONDS,
            failure_ttl=_KEEP_SECONDS,
        )
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error


def enqueue_or_wait(run: TrainingRun) -> None:
    """Put a job into the queue; without Redis the run stays queued and the next recovery enqueues it."""
    try:
        enqueue(run)
    except QueueUnavailableError as error:
        logger.warning('Training run %s waits for the queue: %s', run.pk, error)


def queued_run_ids() -> set[int]:
    """Runs that have a job in Redis, waiting or taken by a worker.

    Raises:
        QueueUnavailableError: Redis cannot be reached.
    """
    try:
        queue = training_queue()
        names = [
            *queue.get_job_ids(),
            *queue.intermediate_queue.get_job_ids(),
            *queue.started_job_registry.get_job_ids(),
        ]
    except (RedisError, OSError) as error:
        raise _unavailable(error) from error
    return {run_id for name in names if (run_id := _run_id(name)) is not None}


def remove_jobs(run: TrainingRun) -> None:
    """Take the run's waiting jobs out of the queue, as far as Redis answers."""
    try:
        queue = training_queue()
        for name in queue.get_job_ids():
            if _run_id(name) == run.pk:
                queue.remove(name)
    except (RedisError, OSError) as error:
        logger.info('A job of the cancelled run %s stays in the queue and will do nothing: %s', run.pk, error)


def announce_version(project_id: int, backend: str) -> None:
    """Tell web processes that another version is in service; those that miss it notice at the next request."""
    try:
        message = json.dumps({'project': project_id, 'backend': backend})
        training_queue().connection.publish(VERSION_CHANNEL, message)
    except (RedisError, OSError) as error:
        logger.warning('The new version of %s on project %s could not be announced: %s', backend, project_id, error)


def _run_id(job_name: str) -> int | None:
    if not job_name.startswith(_PREFIX):
        return None
    number = job_name[len(_PREFIX) :].partition('-')[0]
    return int(number) if number.isdigit() else None


def _unavailable(error: Exception) -> QueueUnavailableError:
    return QueueUnavailableError(
        f'The training queue cannot be reached ({error}). Check that Redis is running, then press Train again.'
    )
