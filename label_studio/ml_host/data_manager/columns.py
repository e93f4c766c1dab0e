"""Columns of active learning in the Data Manager: how useful a task's label would be, and when it is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Count, FloatField, IntegerField, OuterRef, QuerySet, Subquery

from label_studio.ml_host.models import SampledTask, TaskScore
from label_studio.ml_host.sampling.plans import active_plans

_COLUMNS = {
    'acquisition_score': (
        'Acquisition score',
        'How useful a label of this task would be, as the query strategy saw it last; the highest come first',
    ),
    'acquisition_rank': ('Acquisition rank', 'Place of that score among those of all tasks of then; 1 is the best'),
    'serving_position': (
        'Serving position',
        'Place among the tasks that are chosen to be labeled next, which differ from one another; 1 is served next',
    ),
}


def get_all_columns(project: Any, *args: Any) -> dict[str, Any]:
    """Upstream's columns, and these where active learning is on; named by ``DATA_MANAGER_GET_ALL_COLUMNS``."""
    from label_studio.ml_host.upstream import get_all_columns as upstream_columns

    found = upstream_columns(project, *args)
    if active_plans().filter(project=project).exists():
        before_data = len(found['columns']) - 1
        found['columns'][before_data:before_data] = [_column(name, *words) for name, words in _COLUMNS.items()]
    return found


def register() -> None:
    """Have the Data Manager's list of tasks know how to fill, sort and filter these columns."""
    from label_studio.ml_host.upstream import update_annotation_map

    update_annotation_map(
        {'acquisition_score': _with_score, 'acquisition_rank': _with_rank, 'serving_position': _with_position}
    )


def represent(original: Callable[..., Any], serializer: Any, obj: Any) -> dict[str, Any]:
    """Seam of ``DataManagerTaskSerializer.to_representation``: those of these columns that the task has values for.

    Upstream asks for all columns when it shows one task, also of a project without active learning, whose answer is to
    be as it was.
    """
    values = {name: getattr(obj, name, None) for name in _COLUMNS}
    return original(serializer, obj) | {name: value for name, value in values.items() if value is not None}


def _column(name: str, title: str, words: str) -> dict[str, Any]:
    return {
        'id': name,
        'title': title,
        'type': 'Number',
        'help': words,
        'target': 'tasks',
        'visibility_defaults': {'explore': True, 'labeling': False},
        'project_defined': False,
    }


def _with_score(queryset: QuerySet) -> QuerySet:
    return queryset.annotate(acquisition_score=Subquery(_scores().values('score'), output_field=FloatField()))


def _with_rank(queryset: QuerySet) -> QuerySet:
    return queryset.annotate(acquisition_rank=Subquery(_scores().values('rank'), output_field=IntegerField()))


def _scores() -> QuerySet[TaskScore]:
    return TaskScore.objects.filter(project_id=OuterRef('project_id'), task_id=OuterRef('pk'))


def _with_position(queryset: QuerySet) -> QuerySet:
    """Where it waits, counted from the first that waits; few tasks do, so counting them is quick."""
    waiting = SampledTask.objects.filter(project_id=OuterRef('project_id'), served_at=None).order_by()
    not_behind = waiting.filter(position__lte=OuterRef('position')).values('project_id')
    place = Subquery(not_behind.annotate(count=Count('pk')).values('count'), output_field=IntegerField())
    own = waiting.filter(task_id=OuterRef('pk')).annotate(place=place).values('place')
    return queryset.annotate(serving_position=Subquery(own, output_field=IntegerField()))
