"""Ask somebody else about a label: the task goes into the stream once more, before everything that was chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.label_errors.errors import ReviewError
from label_studio.ml_host.label_errors.result import Suspect
from label_studio.ml_host.models import LabelReview

_Verdict = LabelReview.Verdict


def ask(project: Any, suspect: Suspect, control: str, user: Any = None) -> LabelReview:
    """Let the task of a label be served to somebody who has not annotated it.

    Upstream serves no task that has as many annotators as its overlap; so the overlap of this one is raised by one.

    Raises:
        ReviewError: Active learning is off, there is nobody else, or the task is gone.
    """
    from label_studio.ml_host.sampling.plans import active_plan
    from label_studio.ml_host.upstream import Task

    if active_plan(project.pk) is None:
        raise ReviewError(
            f'Active learning is off on project {project.pk}; switch it on, and the label stream serves the task to '
            'somebody else.'
        )
    with transaction.atomic():
        task = Task.objects.select_for_update().filter(project=project, pk=suspect.task_id).first()
        if task is None:
            raise ReviewError(f'Task {suspect.task_id} was deleted.')
        annotators = _annotators(task)
        if not _others(project, annotators):
            raise ReviewError(
                f'There is nobody else to ask: everybody in the organization has annotated task {task.pk}. Invite '
                'somebody first.'
            )
        overlap = max(task.overlap, len(annotators) + 1)
        # Not saved one by one: upstream would count all columns of the project again.
        Task.objects.filter(pk=task.pk).update(overlap=overlap, is_labeled=False)
        review, _ = LabelReview.objects.update_or_create(
            project=project,
            annotation_id=suspect.annotation_id,
            control=control,
            defaults={
                'task_id': suspect.task_id,
                'given': suspect.given,
                'verdict': _Verdict.SECOND_OPINION,
                'created_by': user,
                'overlap_before': task.overlap if overlap != task.overlap else None,
                'closed_at': None,
            },
        )
    return review


def withdraw(review: LabelReview) -> None:
    """Forget a verdict; a task that nobody has answered a second time counts as labeled again."""
    from label_studio.ml_host.upstream import Task

    with transaction.atomic():
        if review.verdict == _Verdict.SECOND_OPINION and review.overlap_before is not None:
            task = Task.objects.select_for_update().filter(pk=review.task_id, project=review.project_id).first()
            annotators = len(_annotators(task)) if task is not None else 0
            if task is not None and task.overlap > annotators >= review.overlap_before:
                Task.objects.filter(pk=task.pk).update(overlap=review.overlap_before, is_labeled=True)
        review.delete()


def waiting(project_id: int, size: int) -> Iterator[list[int]]:
    """Tasks that somebody else is to be asked about, page by page, first asked first; an index seek each."""
    rows = LabelReview.objects.filter(project_id=project_id, verdict=_Verdict.SECOND_OPINION, closed_at=None)
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by('pk').values_list('pk', 'task_id')[:size]):
        yield [task_id for _, task_id in page]
        if len(page) < size:
            return
        last = page[-1][0]


def close(project_id: int, task_ids: Collection[int]) -> None:
    """Nobody needs to be asked about these tasks any more: they have been answered, or are gone."""
    open_ones = LabelReview.objects.filter(
        project_id=project_id, task_id__in=list(task_ids), verdict=_Verdict.SECOND_OPINION, closed_at=None
    )
    open_ones.update(closed_at=timezone.now())


def _annotators(task: Any) -> set[int | None]:
    return set(task.annotations.filter(was_cancelled=False).values_list('completed_by_id', flat=True))


def _others(project: Any, annotators: Collection[int | None]) -> bool:
    from label_studio.ml_host.upstream import User

    people = User.objects.filter(active_organization=project.organization_id, is_active=True)
    return people.exclude(pk__in=[number for number in annotators if number is not None]).exists()
