"""Give a task to one person: two who ask at once never get the same one beyond its overlap."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.timezone import now

from label_studio.ml_host.models import SampledTask
from label_studio.ml_host.sampling import eligible, statements
from label_studio.ml_host.sampling.sources import Request

Source = SampledTask.Source


def take(request: Request, task_id: int, source: Source) -> Any | None:
    """Lock a task for the user and write it into the log; None when somebody was quicker.

    PostgreSQL passes over a task that another request looks at now; SQLite lets one request at a time write, from the
    first statement of a transaction on.
    """
    from label_studio.ml_host.upstream import Task

    with transaction.atomic():
        rows = Task.objects.select_for_update(skip_locked=True).filter(pk=task_id, is_labeled=False)
        task = next(iter(rows), None)
        if task is None:
            return None
        # Upstream's rules read the project's settings; this spares a statement.
        task.project = request.project
        if not eligible.has_room(task, request.user) or not record(request, task_id, source):
            return None
        task.set_lock(request.user)
        return task


def again(task_id: int, request: Request) -> Any | None:
    """A task that the user holds already."""
    from label_studio.ml_host.upstream import Task

    task = Task.objects.filter(pk=task_id).first()
    if task is not None:
        task.project = request.project
    return task


def record(request: Request, task_id: int, source: Source) -> bool:
    """Turn the task's place in the queue into a record, or write one; False for a place that is gone."""
    plan = request.plan
    if statements.serve(plan.project_id, task_id, request.user.pk, source):
        return True
    if source == Source.QUEUE:
        return False
    SampledTask.objects.create(
        project_id=plan.project_id,
        position=0,
        task_id=task_id,
        batch=plan.epoch,
        seed=plan.seed,
        served_at=now(),
        served_to=request.user,
        source=source,
        **_score(request, task_id, source),
    )
    return True


def _score(request: Request, task_id: int, source: Source) -> dict[str, Any]:
    from label_studio.ml_host.models import TaskScore

    plan, found = request.plan, None
    if source == Source.SCORE:
        found = TaskScore.objects.filter(project_id=plan.project_id, task_id=task_id).first()
    if found is None:
        return {'strategy': plan.chooses[0]}
    return {'strategy': found.strategy, 'score': found.score, 'version': found.version}
