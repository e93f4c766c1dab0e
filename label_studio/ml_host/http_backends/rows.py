"""HTTP backends as bulk runs see them: a name, and a row like that of a plugin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from label_studio.ml_host.enabling.services import plugin_name
from label_studio.ml_host.models import ProjectBackend

_NAME = re.compile(r'http-(\d{1,18})')
# What a prediction's version may be called in the database.
_LONGEST_LABEL = 96


def name_of(connection: Any) -> str:
    """Name of a connected backend where plugins have theirs; no plugin is called so."""
    return f'http-{connection.pk}'


def is_http(name: str) -> bool:
    """Whether a name stands for a backend that is connected by URL."""
    return _NAME.fullmatch(name) is not None


def number_of(name: str) -> int:
    """Number of upstream's row; 0 for a plugin."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0


def connection_of(project_id: int, name: str) -> Any:
    """Upstream's row of a backend; None when it is not connected (any more)."""
    from label_studio.ml_host.upstream import UpstreamMLBackend

    return UpstreamMLBackend.objects.filter(project=project_id, pk=number_of(name)).first()


def connections_of(project: Any) -> list[Any]:
    """A project's backends by URL; the one that is selected on upstream's Model page first."""
    from label_studio.ml_host.upstream import UpstreamMLBackend

    found = UpstreamMLBackend.objects.filter(project=project).order_by('id')
    http: Iterable[Any] = (connection for connection in found if not plugin_name(connection.url))
    return sorted(http, key=lambda connection: connection.title != project.model_version)


def row_of(project_id: int, name: str) -> ProjectBackend | None:
    """A row for a connected backend, which is not in the database; None when it is not connected."""
    connection = connection_of(project_id, name)
    return as_row(connection) if connection is not None else None


def as_row(connection: Any) -> ProjectBackend:
    """A row for a connected backend; its version is a parameter, so that each version is a model of its own."""
    row = ProjectBackend(project_id=connection.project_id, backend=name_of(connection), enabled=True)
    row.params = {'version': label_of(connection)}
    return row


def label_of(connection: Any) -> str:
    """What its predictions are stored under: the version that ``/setup`` said, else its title."""
    return str(connection.model_version or connection.title or name_of(connection))[:_LONGEST_LABEL]
