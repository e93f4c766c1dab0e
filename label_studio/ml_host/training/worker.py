"""What ``label-studio worker`` and the launcher's own workers do: work, and outlast a queue that goes away."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence

from django.conf import settings
from django.db import connections
from redis.exceptions import RedisError
from rq.worker import StopRequested

from label_studio.ml_host.analysis import recovery as lost_analyses
from label_studio.ml_host.training.checkpoints import remove_stale_checkpoints
from label_studio.ml_host.training.forking import TrainingWorker
from label_studio.ml_host.training.recovery import recover_in_passing
from label_studio.ml_host.versions.work import remove_stale_work

__all__ = ['TrainingWorker', 'run_worker']

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 2.0
# Idle workers look for lost runs this often.
MAINTENANCE_SECONDS = 30


def run_worker(queues: Sequence[str] | None = None, burst: bool = False, supervised: bool = False) -> None:
    """Work until a signal comes; with `burst`, until the queues are empty.

    Args:
        queues: Names of queues; ours when not given, those of training first.
        burst: Return when there is nothing left to do.
        supervised: Started by the launcher: end with it.
    """
    if supervised:
        from label_studio.ml_host.launcher.lifetime import die_with_parent

        die_with_parent(signal.SIGTERM)
    # Upstream's configuration prints these messages here and once more at the root.
    logging.getLogger('rq.worker').propagate = False
    names = list(queues or [settings.ML_TRAIN_QUEUE, settings.ML_PREDICT_QUEUE, settings.ML_ANALYSIS_QUEUE])
    while True:
        worker = _connected(names, burst)
        if worker is None:
            return
        try:
            worker.work(burst=burst)
        except (RedisError, StopRequested) as error:
            logger.warning('The worker lost the queue: %s', error)
        finally:
            if worker.pubsub_thread is not None:
                # RQ leaves it behind, trying for ever, when it could not say goodbye to Redis.
                worker.pubsub_thread.stop()
            # The handlers belong to the worker that just ended.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if burst or worker.is_stopping:
            return
        time.sleep(RECONNECT_SECONDS)


def _connected(names: list[str], burst: bool) -> TrainingWorker | None:
    """A worker on a queue that answers; waits for Redis, in burst mode not at all."""
    import django_rq

    told = False
    while True:
        try:
            queues = [django_rq.get_queue(name) for name in names]
            worker = TrainingWorker(
                queues,
                connection=queues[0].connection,
                queue_class=type(queues[0]),
                worker_ttl=MAINTENANCE_SECONDS + 15,
                maintenance_interval=MAINTENANCE_SECONDS,
                log_job_description=False,
            )
            recover_in_passing()
            lost_analyses.recover_in_passing()
            _clean()
            return worker
        except (RedisError, OSError) as error:
            if burst:
                logger.error('The queue cannot be reached: %s', error)
                return None
            if not told:
                logger.warning('The worker waits for the queue: %s', error)
                told = True
            time.sleep(RECONNECT_SECONDS)


def _clean() -> None:
    try:
        remove_stale_work()
        remove_stale_checkpoints()
    except Exception:
        logger.exception('Old work directories could not be removed')
    finally:
        connections.close_all()
