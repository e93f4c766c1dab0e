"""Upstream's rules about who may be given a task, asked for a handful of tasks instead of for all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.timezone import now


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
