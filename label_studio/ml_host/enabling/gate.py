"""The one gate: may this plugin be used for this project now? Every door asks here."""

from __future__ import annotations

from django.db.models import F, OuterRef, Subquery

from label_studio.ml_host.http_backends.rows import is_http, row_of
from label_studio.ml_host.models import ProjectBackend
from ml_plugins.registry import registry


def active(project_id: int, backend: str) -> ProjectBackend | None:
    """The row of an enabled, usable plugin, with its version in service; None when it must not be used.

    A backend that is connected by URL has a row as well, under the name that bulk runs know it by.
    """
    if is_http(backend):
        return row_of(project_id, backend)
    if not _is_usable(backend):
        return None
    return (
        ProjectBackend.objects.select_related('in_service')
        .filter(project_id=project_id, backend=backend, enabled=True)
        .first()
    )


def active_of_project(project_id: int, task_id: int | None = None) -> list[ProjectBackend]:
    """Every enabled, usable plugin of a project with its version in service, oldest first; one SQL statement.

    With a task, each row carries ``predicted_by``: the version of its newest prediction of that task, or None.
    """
    from label_studio.ml_host.upstream import Prediction

    rows = (
        ProjectBackend.objects.select_related('in_service', 'connection', 'project')
        .filter(project_id=project_id, enabled=True)
        .order_by('id')
    )
    if task_id is not None:
        # The sum keeps SQLite off the index over `model`, which would lead through every prediction of the backend.
        made = Prediction.objects.annotate(maker=F('model_id') + 0)
        made = made.filter(task_id=task_id, maker=OuterRef('connection_id')).order_by('-id')
        rows = rows.annotate(predicted_by=Subquery(made.values('model_version')[:1]))
    return [row for row in rows if _is_usable(row.backend)]


def active_everywhere(organization_id: int | None = None, project_id: int | None = None) -> list[ProjectBackend]:
    """Every enabled, usable plugin of an organization, or of one project, with project and version in service."""
    rows = ProjectBackend.objects.select_related('in_service', 'project').filter(enabled=True).order_by('id')
    if organization_id is not None:
        rows = rows.filter(project__organization_id=organization_id)
    if project_id is not None:
        rows = rows.filter(project_id=project_id)
    return [row for row in rows if _is_usable(row.backend)]


def _is_usable(backend: str) -> bool:
    return backend in registry and registry.get(backend).is_usable
