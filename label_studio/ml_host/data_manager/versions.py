"""Versions to choose from where upstream offers the selected model's title."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from label_studio.ml_host.prelabeling.on_open import selected_backend
from label_studio.ml_host.prelabeling.store import current_label


def form(original: Callable[..., Any], user, project) -> list[dict[str, Any]]:
    """Seam of ``predictions_to_annotations_form``: a plugin's version in service comes first instead of its title."""
    rows = original(user, project)
    plugin = selected_backend(project) if project.pk else None
    if plugin is None:
        return rows
    label = current_label(plugin)
    for field in (field for row in rows for field in row['fields'] if field['name'] == 'model_version'):
        field['options'] = _without_title(project, field['options'], label)
        field['value'] = field['options'][0] if field['options'] else None
    return rows


def _without_title(project, versions: list[str | None], label: str) -> list[str | None]:
    from label_studio.ml_host.upstream import Prediction

    title = project.model_version
    # Predictions of that name may have been imported.
    if not Prediction.objects.filter(project=project, model_version=title).exists():
        versions = [version for version in versions if version != title]
    return sorted(versions, key=lambda version: version != label)
