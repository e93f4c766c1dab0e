"""Which of the waiting runs comes next: people before the server itself, and projects in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Max

from label_studio.ml_host.models import TrainingRun

State = TrainingRun.State


def in_turn() -> list[int]:
    """Numbers of the waiting runs that may begin, the next one first.

    A job in the queue says that there is something to do; what that is, is decided here when a worker is free. So the
    order does not depend on what became of the queue.
    """
    running = list(TrainingRun.objects.filter(state=State.RUNNING).values_list('project_id', 'backend'))
    taken = set(running)
    waiting = TrainingRun.objects.filter(state=State.QUEUED).only('project', 'backend', 'trigger', 'created_by')
    ready = [run for run in waiting if (run.project_id, run.backend) not in taken]
    projects = {run.project_id for run in ready}
    begun = TrainingRun.objects.filter(project__in=projects).exclude(state=State.QUEUED)
    latest = dict(begun.order_by().values_list('project_id').annotate(latest=Max('started_at')))
    return ordered(ready, Counter(project_id for project_id, _ in running), latest)


def ordered(
    waiting: Iterable[TrainingRun], running: Mapping[int, int], latest: Mapping[int, datetime | None]
) -> list[int]:
    """Numbers of waiting runs in their order.

    Args:
        waiting: Runs that may begin.
        running: How many runs of each project are running.
        latest: When a run of each project began last.
    """

    def key(run: TrainingRun) -> tuple[bool, int, float, int]:
        begun = latest.get(run.project_id)
        by_itself = bool(run.trigger) and run.created_by_id is None
        return by_itself, running.get(run.project_id, 0), begun.timestamp() if begun else 0.0, run.pk

    return [run.pk for run in sorted(waiting, key=key)]
