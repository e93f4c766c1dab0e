"""This process's share of the work: whoever waits longest gets a turn, and gives way to others after a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from label_studio.ml_host.models import PrelabelShard
from label_studio.ml_host.prelabeling import lease as leases
from label_studio.ml_host.prelabeling import lifecycle
from label_studio.ml_host.prelabeling.engine import work_on

# A small run does not wait for a large one to end. Models may have to be loaded for each turn.
TURN_SECONDS = 20.0


def work_next(run_id: int | None = None, is_over: Callable[[], bool] | None = None) -> bool:
    """Work on the shard that waits longest; False when there is none.

    Args:
        run_id: Only shards of this run.
        is_over: Whether the turn ends; without it, after a while, when another shard waits.
    """
    shard = None if leases.is_closed() else leases.next_free(run_id)
    if shard is None:
        return False
    was_lost = bool(shard.owner)
    lease = leases.claim(shard)
    if lease is not None:
        if was_lost:
            _start_clock_again(shard)
        work_on(lease, is_over or Turn())
    return True


class Turn:
    """Whether a turn is over: it lasted long enough and somebody else waits."""

    def __init__(self) -> None:
        self._end = time.monotonic() + TURN_SECONDS

    def __call__(self) -> bool:
        return time.monotonic() >= self._end and leases.next_free() is not None


def _start_clock_again(shard: PrelabelShard) -> None:
    """The time that a run lay idle after its process died says nothing about its speed."""
    others = PrelabelShard.objects.filter(run=shard.run_id, ended=False).exclude(pk=shard.pk).exclude(owner='')
    if not others.exists():
        lifecycle.start_clock_again(shard.run)
