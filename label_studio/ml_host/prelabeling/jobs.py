"""Bulk runs on the queue: one job a shard, for workers on any machine."""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
from datetime import timedelta
from types import FrameType

from django.conf import settings
from django.db import connection
from django.utils import timezone

from label_studio.ml_host.models import PrelabelShard
from label_studio.ml_host.prelabeling import lease as leases
from label_studio.ml_host.prelabeling.lifecycle import State
from label_studio.ml_host.prelabeling.turns import work_next

logger = logging.getLogger(__name__)

JOB = 'label_studio.ml_host.prelabeling.jobs.prelabel'
_PREFIX = 'ml-prelabel-'
# A job that has loaded the model goes on with further shards of its run for this long.
TURN_SECONDS = 60.0
RENEW_SECONDS = 2.0
_POLL_SECONDS = 0.25
# A shard this long in the queue's hands without an owner may have lost its job.
SETTLING = timedelta(seconds=15)
_KEEP_SECONDS = 600


# Set in a signal handler, where nothing else is safe.
_is_stop_asked = False


def prelabel(run_id: int) -> None:
    """Work on shards of a run until none is left or others shall have the worker."""
    end = time.monotonic() + TURN_SECONDS
    ended = threading.Event()
    threading.Thread(target=_renew_until, args=(ended,), name='prelabel-lease', daemon=True).start()
    try:
        while time.monotonic() < end and work_next(run_id, is_over=lambda: False):
            pass
    finally:
        ended.set()


def enqueue_waiting() -> int:
    """Put a job into the queue for each shard that nobody works on and that has none; returns how many."""
    shards = _waiting()
    if not shards:
        return 0
    queue = _queue()
    known = _queued_shards(queue)
    count = 0
    for shard in shards:
        if shard.pk in known or not _stamp(shard):
            continue
        queue.enqueue(
            JOB,
            shard.run_id,
            job_id=f'{_PREFIX}{shard.pk}-{uuid.uuid4().hex[:8]}',
            job_timeout=-1,
            result_ttl=0,
            failure_ttl=_KEEP_SECONDS,
        )
        count += 1
    return count


def stop_on_signal() -> None:
    """In a worker's child: SIGTERM gives the shard back, whose next owner goes on at its cursor."""

    def ask(number: int, frame: FrameType | None) -> None:
        global _is_stop_asked
        _is_stop_asked = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _waiting() -> list[PrelabelShard]:
    running = PrelabelShard.objects.filter(run__state=State.RUNNING, run__cancel_requested=False, ended=False)
    settled = timezone.now() - SETTLING
    return [
        shard
        for shard in running.order_by('id')
        if leases.is_free(shard) and (shard.owner or shard.heartbeat_at is None or shard.heartbeat_at < settled)
    ]


def _stamp(shard: PrelabelShard) -> bool:
    """Note that the shard gets a job now; one process does it."""
    unchanged = PrelabelShard.objects.filter(pk=shard.pk, owner=shard.owner, heartbeat_at=shard.heartbeat_at)
    return bool(unchanged.update(owner='', heartbeat_at=timezone.now()))


def _queue():
    import django_rq

    return django_rq.get_queue(settings.ML_PREDICT_QUEUE)


def _queued_shards(queue) -> set[int]:
    names = [*queue.get_job_ids(), *queue.intermediate_queue.get_job_ids()]
    numbers = (name[len(_PREFIX) :].partition('-')[0] for name in names if name.startswith(_PREFIX))
    return {int(number) for number in numbers if number.isdigit()}


def _renew_until(ended: threading.Event) -> None:
    renew_at = 0.0
    while not ended.wait(_POLL_SECONDS):
        if _is_stop_asked:
            leases.close()
        if time.monotonic() < renew_at:
            continue
        renew_at = time.monotonic() + RENEW_SECONDS
        try:
            leases.renew()
        except Exception:
            logger.exception('The leases of this worker could not be renewed')
        finally:
            connection.close()
