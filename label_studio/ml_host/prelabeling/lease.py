"""Who works on a shard: a lease in its row, kept by heartbeats, that exactly one process can take."""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.training.lifecycle import process_is_gone, process_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lease:
    """The right to work on a shard.

    Attributes:
        owner: Names the process and this very lease; every write asks whether the shard still carries it.
        stop: Set when the work must end: cancelled, lost, or the process stops.
    """

    shard_id: int
    run_id: int
    owner: str
    stop: threading.Event = field(default_factory=threading.Event, compare=False)


_lock = threading.Lock()
_held: dict[str, Lease] = {}
_closed = threading.Event()


def held() -> list[Lease]:
    """Leases that threads of this process work under."""
    with _lock:
        return list(_held.values())


def next_free(run_id: int | None = None) -> PrelabelShard | None:
    """The shard that waits longest for somebody to work on it, of one run or of any."""
    waiting = PrelabelShard.objects.filter(
        run__state=PrelabelRun.State.RUNNING, run__cancel_requested=False, ended=False
    )
    if run_id is not None:
        waiting = waiting.filter(run=run_id)
    for shard in waiting.order_by(F('heartbeat_at').asc(nulls_first=True), 'id'):
        if is_free(shard):
            return shard
    return None


def is_free(shard: PrelabelShard) -> bool:
    """Whether nobody works on a shard, or whoever did has not been heard of or is known to have ended."""
    return not shard.owner or _is_silent(shard) or _is_gone(shard.owner)


def claim(shard: PrelabelShard) -> Lease | None:
    """Take a free shard as it was read; None when somebody else was quicker or this process is stopping."""
    if _closed.is_set() or not is_free(shard):
        return None
    lease = Lease(shard.pk, shard.run_id, f'{process_name()}#{uuid.uuid4().hex[:8]}')
    with _lock:
        _held[lease.owner] = lease
    # An owner that was silent and reports just now has changed the heartbeat, and keeps its shard. Only columns of the
    # shard itself are compared: PostgreSQL looks at those again after waiting for another one's update, and at no join.
    unchanged = PrelabelShard.objects.filter(
        pk=shard.pk, ended=False, owner=shard.owner, heartbeat_at=shard.heartbeat_at
    )
    taken = unchanged.update(owner=lease.owner, heartbeat_at=timezone.now())
    if not taken:
        forget(lease)
        return None
    if shard.owner:
        logger.info('Shard %s of pre-label run %s is taken over from %s', shard.pk, shard.run_id, shard.owner)
    return lease


def renew() -> None:
    """Report that this process is alive; whoever lost a lease or is not wanted any more is told to stop."""
    leases = held()
    if not leases:
        return
    wanted = set(
        PrelabelRun.objects.filter(
            pk__in={lease.run_id for lease in leases}, state=PrelabelRun.State.RUNNING, cancel_requested=False
        ).values_list('pk', flat=True)
    )
    for lease in leases:
        if lease.run_id not in wanted or not _mine(lease).update(heartbeat_at=timezone.now()):
            lease.stop.set()


def release(lease: Lease) -> None:
    """Let another one go on."""
    try:
        _mine(lease).update(owner='', heartbeat_at=timezone.now())
    finally:
        forget(lease)


def forget(lease: Lease) -> None:
    """Work under the lease no more; without `release` it is free for others once it is silent."""
    with _lock:
        _held.pop(lease.owner, None)


def close() -> None:
    """Ask all work of this process to stop soon, and begin none."""
    _closed.set()
    for lease in held():
        lease.stop.set()


def open_again() -> None:
    """Allow work after `close`."""
    _closed.clear()


def is_closed() -> bool:
    """Whether this process is stopping."""
    return _closed.is_set()


def _mine(lease: Lease):
    return PrelabelShard.objects.filter(pk=lease.shard_id, owner=lease.owner)


def _latest() -> datetime:
    return timezone.now() - timedelta(seconds=settings.ML_PRELABEL_LEASE)


def _is_silent(shard: PrelabelShard) -> bool:
    return shard.heartbeat_at is None or shard.heartbeat_at < _latest()


def _is_gone(owner: str) -> bool:
    process, _, _ = owner.partition('#')
    if process == process_name():
        # Process ids come back: one that is ours without a lease of ours was somebody's before us.
        with _lock:
            return owner not in _held
    return process_is_gone(process)
