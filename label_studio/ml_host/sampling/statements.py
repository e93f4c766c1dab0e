"""SQL of what every request for a task asks: Django takes longer to put it together than the database to answer it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection
from django.utils.timezone import now

from label_studio.ml_host.models import LabelReview, ProjectBackend, SampledTask, SamplingPlan


def plan_of(project_id: int) -> SamplingPlan | None:
    """The plan of a project that is switched on, and whose backend is."""
    return next(iter(SamplingPlan.objects.raw(_sql().plan, [project_id])), None)


def held_by(user_id: int, project_id: int, most: int) -> list[int]:
    """Tasks of a project that a person was given, the first one first."""
    return [row[0] for row in _rows(_sql().held, [user_id, _moment(now()), project_id, most])]


def holders_of(task_id: int, user_id: int) -> set[int]:
    """Who but this person was given a task."""
    return {row[0] for row in _rows(_sql().holders, [task_id, _moment(now()), user_id])}


def waiting_after(project_id: int, position: int, most: int) -> list[tuple[int, int]]:
    """Task and position of what waits in a queue behind a position, first things first."""
    return _rows(_sql().waiting, [project_id, position, most])


def serve(project_id: int, task_id: int, user_id: int, source: str) -> bool:
    """Turn a task's place in the queue into the record of who got it; False where it has none."""
    with connection.cursor() as cursor:
        cursor.execute(_sql().serve, [_moment(now()), user_id, source, project_id, task_id])
        return cursor.rowcount > 0


class _Statements:
    def __init__(self) -> None:
        from label_studio.ml_host.upstream import Task, TaskLock

        plans, backends, places, locks, tasks, reviews = (
            connection.ops.quote_name(model._meta.db_table)
            for model in (SamplingPlan, ProjectBackend, SampledTask, TaskLock, Task, LabelReview)
        )
        self.plan = (
            'SELECT p.*, EXISTS (SELECT 1 FROM '
            f"{reviews} r WHERE r.project_id = p.project_id AND r.verdict = 'second_opinion' AND r.closed_at IS NULL) "
            f'AS asks_again FROM {plans} p JOIN {backends} b ON b.project_id = p.project_id AND b.backend = p.backend '
            'WHERE p.project_id = %s AND p.enabled AND b.enabled'
        )
        self.held = (
            f'SELECT l.task_id FROM {locks} l JOIN {tasks} t ON t.id = l.task_id '
            'WHERE l.user_id = %s AND l.expire_at > %s AND t.project_id = %s ORDER BY l.id LIMIT %s'
        )
        self.holders = f'SELECT user_id FROM {locks} WHERE task_id = %s AND expire_at > %s AND user_id <> %s'
        self.waiting = (
            f'SELECT task_id, position FROM {places} '
            'WHERE project_id = %s AND served_at IS NULL AND position > %s ORDER BY position LIMIT %s'
        )
        self.serve = (
            f'UPDATE {places} SET served_at = %s, served_to_id = %s, source = %s '
            'WHERE project_id = %s AND task_id = %s AND served_at IS NULL'
        )


@cache
def _sql() -> _Statements:
    return _Statements()


def _rows(sql: str, values: list[Any]) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
