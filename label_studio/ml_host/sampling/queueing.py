"""The queue of chosen tasks: filled ahead by who chooses, emptied by who serves."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from label_studio.ml_host.models import SampledTask, SamplingPlan

logger = logging.getLogger(__name__)

_CHUNK = 500


@dataclass(frozen=True)
class Choice:
    """A task to be served.

    Attributes:
        score: What the strategy said about it; None when nothing did.
        rank: Its place among all scores; 1 is the best.
        propensity: How likely it was to be chosen in this way.
        explored: Whether it was drawn at random from all tasks that were left.
    """

    task_id: int
    score: float | None = None
    rank: int | None = None
    propensity: float | None = None
    explored: bool = False


def append(
    plan: SamplingPlan, choices: Iterable[Choice], version: str = '', strategy: str = '', replace: bool = False
) -> int:
    """Put tasks at the end of a project's queue, in this order.

    Args:
        plan: Its ``epoch`` and ``seed`` are kept with every task.
        choices: A task that waits already keeps its place.
        version: Name in predictions of the version that the choice is based on.
        strategy: Who chose, where it was not the strategy of the plan.
        replace: Take everything that waits out of the queue first.

    Returns:
        How many were added.
    """
    with transaction.atomic():
        # Two that append at once would give the same positions.
        SamplingPlan.objects.select_for_update().get(pk=plan.pk)
        if replace:
            waiting(plan).delete()
        taken = set(waiting(plan).values_list('task_id', flat=True))
        unique = {choice.task_id: choice for choice in choices if choice.task_id not in taken}
        last = waiting(plan).order_by('-position').values_list('position', flat=True).first() or 0
        rows = [
            SampledTask(
                project_id=plan.project_id,
                position=last + number,
                task_id=choice.task_id,
                score=choice.score,
                rank=choice.rank,
                strategy=strategy or plan.chooses[0],
                version=version,
                propensity=choice.propensity,
                explored=choice.explored,
                batch=plan.epoch,
                seed=plan.seed,
            )
            for number, choice in enumerate(unique.values(), start=1)
        ]
        SampledTask.objects.bulk_create(rows, batch_size=_CHUNK)
    return len(rows)


def waiting(plan: SamplingPlan) -> QuerySet[SampledTask]:
    """What waits to be served, first things first."""
    return SampledTask.objects.filter(project_id=plan.project_id, served_at=None).order_by('position')


def drop_all(plan: SamplingPlan, reason: str) -> int:
    """Empty the queue; what was served stays in the log. Returns how many waited."""
    count, _ = waiting(plan).delete()
    if count:
        logger.info('%d tasks of project %s are not served as chosen: %s', count, plan.project_id, reason)
    return count


def drop(plan: SamplingPlan, task_ids: Iterable[int]) -> int:
    """Take tasks out of the queue that nobody can label any more."""
    count, _ = waiting(plan).filter(task_id__in=list(task_ids)).delete()
    return count
