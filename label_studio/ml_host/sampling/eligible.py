"""Upstream's rules about who may be given a task, asked for a handful of tasks instead of for all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from label_studio.ml_host.sampling import statements


def open_tasks(prepared_tasks: QuerySet, user: Any) -> QuerySet:
    """Tasks that lack annotations, that the user has neither annotated, skipped nor postponed.

    Args:
        prepared_tasks: Upstream's tasks of the project, filtered as the request wants it.
        user: Who asks.
    """
    from label_studio.ml_host.upstream import Annotation, AnnotationDraft

    done = Annotation.objects.filter(task_id=OuterRef('pk'), completed_by=user)
    postponed = AnnotationDraft.objects.filter(task_id=OuterRef('pk'), user=user, was_postponed=True)
    return prepared_tasks.filter(~Exists(done), ~Exists(postponed), is_labeled=False).order_by()


def free_tasks(tasks: QuerySet, user: Any) -> QuerySet:
    """Those that are not locked by as many others as may work on them."""
    from label_studio.ml_host.upstream import TaskLock

    locks = TaskLock.objects.filter(task_id=OuterRef('pk'), expire_at__gt=now()).exclude(user=user)
    locks = locks.order_by().values('task_id').annotate(count=Count('pk')).values('count')
    return tasks.filter(overlap__gt=Coalesce(Subquery(locks, output_field=IntegerField()), 0))


def has_room(task: Any, user: Any) -> bool:
    """Whether one more person may work on a task; asked in the transaction that gives it to the user.

    It is upstream's `Task.has_lock` but for two things. One who has answered and is about to let go of the task is
    counted once. And a task that has all of its annotations is counted again; upstream does so when it has too many.
    """
    answers = task.annotations.all()
    if task.project.annotator_evaluation_enabled and answers.filter(ground_truth=True).exists():
        return True
    authors = list(answers.exclude(task.get_lock_exclude_query(user)).values_list('completed_by', flat=True))
    if len(authors) >= task.overlap:
        _count_again(task)
    held = len(statements.holders_of(task.pk, user.pk).difference(authors))
    taken = len(authors) + held
    return taken < task.overlap_with_agreement_threshold(taken, held)


def _count_again(task: Any) -> None:
    """Set what upstream notes of a task's annotations.

    Of two who answer at once each counts, and the count that is written last stays, be it the earlier one: the task
    would be offered for ever, and nobody could take it.
    """
    before = (task.total_annotations, task.cancelled_annotations, task.is_labeled)
    task.total_annotations = task.annotations.filter(was_cancelled=False).count()
    task.cancelled_annotations = task.annotations.filter(was_cancelled=True).count()
    task.update_is_labeled()
    if before != (task.total_annotations, task.cancelled_annotations, task.is_labeled):
        task.save(update_fields=['total_annotations', 'cancelled_annotations', 'is_labeled'], skip_fsm=True)


def having_ground_truth(tasks: QuerySet) -> QuerySet:
    """Those that somebody has given a right answer for."""
    return tasks.filter(Exists(_ground_truth()))


def without_ground_truth(tasks: QuerySet) -> QuerySet:
    """The others."""
    return tasks.filter(~Exists(_ground_truth()))


def among(tasks: QuerySet, task_ids: Collection[int]) -> set[int]:
    """Which of some tasks belong to a set of tasks; one SQL statement."""
    return set(tasks.filter(pk__in=list(task_ids)).values_list('pk', flat=True)) if task_ids else set()


def finished(project_id: int, task_ids: Collection[int]) -> set[int]:
    """Which of some tasks nobody can label any more: they are labeled or gone."""
    from label_studio.ml_host.upstream import Task

    still_open = Task.objects.filter(project_id=project_id, is_labeled=False)
    return set(task_ids) - among(still_open, task_ids)


def _ground_truth() -> QuerySet:
    from label_studio.ml_host.upstream import Annotation

    return Annotation.objects.filter(task_id=OuterRef('pk'), ground_truth=True)
