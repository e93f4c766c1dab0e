"""Predictions outlive the switch: off, they stand without a backend; on again, they are the backend's once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from label_studio.ml_host.enabling.services import plugin_name
from label_studio.ml_host.models import ModelVersion, ProjectBackend, version_label


def keep(original: Callable[..., Any], connection, *args: Any, **kwargs: Any) -> Any:
    """Seam of ``MLBackend.delete``: upstream's table would take a plugin's predictions along."""
    if plugin_name(connection.url):
        connection.predictions.update(model=None)
    return original(connection, *args, **kwargs)


def adopt(row: ProjectBackend) -> None:
    """Give the backend its earlier predictions back, by the names of its versions."""
    from label_studio.ml_host.upstream import Prediction

    versions = ModelVersion.objects.filter(project_id=row.project_id, backend=row.backend)
    labels = [version_label(row.backend, None), *(version.label for version in versions)]
    own = Prediction.objects.filter(project_id=row.project_id, model=None, model_version__in=labels)
    own.update(model=row.connection_id)
