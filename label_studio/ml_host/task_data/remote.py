"""Whether a project stands for one of another Label Studio, without a query each time."""

from __future__ import annotations

from typing import Any

from label_studio.ml_host.models import RemoteProject

# Projects that are known to be this server's own; a project never becomes a shadow later.
_own: set[int] = set()
_MOST = 10_000


def remote_of(project_id: int) -> RemoteProject | None:
    """The remote project that a project stands for; None for this server's own projects."""
    if project_id in _own:
        return None
    remote = RemoteProject.objects.filter(project=project_id).first()
    if remote is None:
        if len(_own) >= _MOST:
            _own.clear()
        _own.add(project_id)
    return remote


def forget(*_: Any, **__: Any) -> None:
    """Ask anew; takes whatever a signal sends."""
    _own.clear()
