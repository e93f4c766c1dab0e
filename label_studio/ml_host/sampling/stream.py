"""Seam of upstream's choice of the next task: the order that active learning chose, and upstream's rules.

However many tasks and annotators there are, it takes the same handful of indexed statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet

from label_studio.ml_host.models import SampledTask
from label_studio.ml_host.sampling import eligible, sources, taking
from label_studio.ml_host.sampling.plans import active_plan
from label_studio.ml_host.sampling.sources import Request

Source = SampledTask.Source
Served = tuple[Any | None, str]

OVERLAP_FIRST = 'Show overlap first'
# What the answer says about where a task comes from; the first are upstream's own words.
_WORDS = {
    Source.GROUND_TRUTH: 'Onboarding ground truth queue',
    Source.BEGUN: 'Breadth first queue',
    Source.SECOND_OPINION: 'Second opinion on a label',
    Source.QUEUE: 'Active learning queue',
    Source.SCORE: 'Active learning by score, since nothing is chosen ahead',
    Source.RANDOM: 'Random, since active learning has no scores',
}
_SOURCES: tuple[tuple[Source, Callable[[Request], Iterator[int]]], ...] = (
    (Source.GROUND_TRUTH, sources.ground_truth),
    (Source.SECOND_OPINION, sources.asked_again),
    (Source.BEGUN, sources.begun),
    (Source.QUEUE, sources.queued),
    (Source.SCORE, sources.scored),
    (Source.RANDOM, sources.at_random),
)


def get_next_task(
    original: Callable[..., Served],
    user: Any,
    prepared_tasks: QuerySet,
    project: Any,
    dm_queue: bool | None,
    assigned_flag: bool | None = None,
) -> Served:
    """The next task of a label stream, and a word about where it comes from.

    Upstream itself chooses where active learning is off, and where the request or an assignment says what comes next.
    """
    plan = None
    if not (dm_queue or assigned_flag or getattr(project, 'lse_project', None)):
        plan = active_plan(project.pk)
    if plan is None:
        return original(user, prepared_tasks, project, dm_queue, assigned_flag)
    request = Request(plan, project, user, eligible.open_tasks(prepared_tasks, user))
    task, words = _next(request)
    if task is None:
        task, words = _put_aside(request, prepared_tasks)
    if task is not None:
        _add_to_history(task, user, project)
    return task, words


def _next(request: Request) -> Served:
    """From the first source that has a task; one whose overlap is to be first goes through all of them first."""
    if not request.project.show_overlap_first:
        return _from_sources(request)
    for more in ({'overlap__gt': 1}, {'overlap': 1}):
        task, words = _from_sources(replace(request, tasks=request.tasks.filter(**more)))
        if task is not None:
            return task, f'{OVERLAP_FIRST} & {words}'
    return None, OVERLAP_FIRST


def _from_sources(request: Request) -> Served:
    for task_id in sources.locked_by_user(request):
        if task := taking.again(task_id, request):
            return task, 'Task lock'
    for source, tasks in _SOURCES:
        for task_id in tasks(request):
            if task := taking.take(request, task_id, source):
                return task, _words(request, source)
    return None, ''


def _words(request: Request, source: Source) -> str:
    said = _WORDS[source]
    falls_back = source in (Source.QUEUE, Source.SCORE, Source.RANDOM) and request.plan.fallback
    return f'{said} ({request.plan.fallback})' if falls_back else said


def _put_aside(request: Request, prepared_tasks: QuerySet) -> Served:
    """What the user postponed or skipped, as upstream gives it back: when nothing else is left."""
    from label_studio.ml_host.upstream import postponed_queue, skipped_queue

    project, user = request.project, request.user
    task, words = postponed_queue(None, prepared_tasks, project, user, None, '')
    source = Source.POSTPONED
    if task is None:
        task, words = skipped_queue(None, prepared_tasks, project, user, None, words)
        source = Source.SKIPPED
    if task is not None:
        task.project = project
        taking.record(request, task.pk, source)
        task.set_lock(user)
    return task, words


def _add_to_history(task: Any, user: Any, project: Any) -> None:
    from label_studio.ml_host.upstream import add_stream_history

    add_stream_history(task, user, project)
