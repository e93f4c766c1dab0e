"""Where the next task can come from: each source gives a few tasks, best first, by an index seek."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import Any

from django.db.models import F, Q, QuerySet

from label_studio.ml_host.label_errors import second_opinions
from label_studio.ml_host.models import SamplingPlan, TaskScore
from label_studio.ml_host.sampling import eligible, low, queueing, statements
from label_studio.ml_host.sampling.indexes import Number

# How many tasks are looked at together, and how often before the next source is asked.
WINDOW = 50
WINDOWS = 4
# Mostly one of the very first may be given, and these cost a third of what all of them do.
FIRST = 5


@dataclass(frozen=True)
class Request:
    """Who asks for a task of which project.

    Attributes:
        tasks: Upstream's tasks that the user may be given, by everything but locks.
    """

    plan: SamplingPlan
    project: Any
    user: Any
    tasks: QuerySet

    @cached_property
    def free(self) -> QuerySet:
        """Tasks that others leave room for."""
        return eligible.free_tasks(self.tasks, self.user)


def locked_by_user(request: Request) -> Iterator[int]:
    """Tasks that the user was given before and has not answered."""
    ids = statements.held_by(request.user.pk, request.project.pk, WINDOW)
    yield from _kept(ids, eligible.among(request.tasks, ids))


def ground_truth(request: Request) -> Iterator[int]:
    """Tasks with a right answer, where the project measures its annotators."""
    from label_studio.ml_host.upstream import Annotation

    if not request.project.annotator_evaluation_enabled:
        return
    known = Annotation.objects.filter(project_id=request.project.pk, ground_truth=True).values('task_id')
    ids = list(request.tasks.filter(pk__in=known).order_by('pk').values_list('pk', flat=True)[:WINDOW])
    if request.project.sampling != request.project.SEQUENCE:
        random.shuffle(ids)
    yield from ids


def asked_again(request: Request) -> Iterator[int]:
    """Labeled tasks that somebody wants a second opinion on."""
    if not request.plan.asks_again:
        return
    for ids in islice(second_opinions.waiting(request.project.pk, WINDOW), WINDOWS):
        may = eligible.among(request.free, ids)
        if finished := _finished(request, ids, may):
            second_opinions.close(request.project.pk, finished)
        yield from _kept(ids, may)


def begun(request: Request) -> Iterator[int]:
    """Tasks that others have begun and that want more annotations: those with the most first.

    Looks at the tasks with the most annotations only: one who has annotated many of them already may be given another
    task instead.
    """
    from label_studio.ml_host.upstream import Task

    project = request.project
    if project.maximum_annotations <= 1:
        return
    counted = Task.objects.annotate(begun=F('total_annotations') + F('cancelled_annotations'))
    counted = counted.filter(project_id=project.pk, is_labeled=False, begun__gt=0).order_by('-begun')
    counts = list(counted.values_list('begun', 'pk')[: WINDOW * WINDOWS])
    free = request.free
    if project.annotator_evaluation_enabled:
        free = eligible.without_ground_truth(free)
    may = eligible.among(free, [pk for _, pk in counts])
    for _, group in groupby(counts, key=lambda pair: pair[0]):
        ids = [pk for _, pk in group if pk in may]
        random.shuffle(ids)
        yield from ids


def queued(request: Request) -> Iterator[int]:
    """Tasks that were chosen ahead."""
    plan, last = request.plan, 0
    for number in range(WINDOWS):
        window = statements.waiting_after(plan.project_id, last, WINDOW)
        if number == 0 and len(window) < min(WINDOW, plan.batch // 2 + 1):
            low.note(plan.project_id)
        if not window:
            return
        for ids in _few_first([task_id for task_id, _ in window]):
            may = eligible.among(request.free, ids)
            if finished := _finished(request, ids, may):
                queueing.drop(plan, finished)
            yield from _kept(ids, may)
        last = window[-1][1]


def scored(request: Request) -> Iterator[int]:
    """Tasks with the best scores, where nothing waits."""
    rows = TaskScore.objects.filter(project_id=request.plan.project_id).order_by('-score', 'task_id')
    after = Q()
    for _ in range(WINDOWS):
        window = list(rows.filter(after).values_list('task_id', 'score')[:WINDOW])
        if not window:
            return
        for ids in _few_first([task_id for task_id, _ in window]):
            may = eligible.among(request.free, ids)
            if finished := _finished(request, ids, may):
                TaskScore.objects.filter(project_id=request.plan.project_id, task_id__in=finished).delete()
            yield from _kept(ids, may)
        last_id, last_score = window[-1]
        after = Q(score__lte=last_score) & (Q(score__lt=last_score) | Q(task_id__gt=last_id))


def at_random(request: Request) -> Iterator[int]:
    """Tasks from a random number on; finds one if there is any."""
    from label_studio.ml_host.upstream import Task

    numbers = Task.objects.filter(project_id=request.project.pk, is_labeled=False).annotate(number=Number('pk'))
    # The comparison keeps SQLite off an index that it would have to sort.
    numbers = numbers.filter(number__gt=0).values_list('number', flat=True)
    first, last = numbers.order_by('number').first(), numbers.order_by('-number').first()
    # Others label meanwhile: the last one may be gone, or come before what was the first.
    if first is None or last is None:
        return
    start = random.randint(min(first, last), max(first, last))
    free = request.free.annotate(number=Number('pk')).order_by('number')
    for part in (Q(number__gte=start), Q(number__lt=start)):
        after = Q()
        while True:
            ids = list(free.filter(part, after).values_list('pk', flat=True)[:WINDOW])
            yield from ids
            if len(ids) < WINDOW:
                break
            after = Q(number__gt=ids[-1])


def _few_first(task_ids: list[int]) -> Iterator[list[int]]:
    yield task_ids[:FIRST]
    if len(task_ids) > FIRST:
        yield task_ids[FIRST:]


def _kept(task_ids: list[int], may: set[int]) -> Iterator[int]:
    return (task_id for task_id in task_ids if task_id in may)


def _finished(request: Request, task_ids: list[int], may: set[int]) -> set[int]:
    """Those that nobody can label any more; asked only where somebody may not have them."""
    left = [task_id for task_id in task_ids if task_id not in may]
    return eligible.finished(request.project.pk, left) if left else set()
