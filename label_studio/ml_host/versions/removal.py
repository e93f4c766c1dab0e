"""Remove versions with all that is theirs, and choose those that are too old."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from label_studio.ml_host.models import BackendEvent, ModelVersion, PrelabelRun
from label_studio.ml_host.versions.shelving import remove_folder

logger = logging.getLogger(__name__)


def remove(version: ModelVersion, user: Any = None, **detail: Any) -> None:
    """Remove a version in the open transaction; its files go with it."""
    from label_studio.ml_host.enabling import services

    services.audit(
        version.project, version.backend, BackendEvent.Action.DELETED, user, version=version.number, **detail
    )
    version.delete()


def on_version_deleted(sender: type, instance: ModelVersion, **kwargs: Any) -> None:
    """Remove the files of a version whose row goes, be it with its project."""
    folder, key = Path(settings.ML_VERSION_DIR) / instance.directory, instance.remote
    transaction.on_commit(lambda: remove_folder(folder, key), robust=True)


def is_predicting(version: ModelVersion) -> bool:
    """Whether a pre-labeling that waits or runs predicts with a version."""
    return PrelabelRun.objects.filter(version=version).exclude(state__in=PrelabelRun.ENDED).exists()


def beyond(project_id: int, backend: str, serving: ModelVersion | None, keep: int) -> list[ModelVersion]:
    """Versions that are too old, oldest first.

    Args:
        serving: The one in service.
        keep: How many are kept besides that one.
    """
    own = ModelVersion.objects.filter(project=project_id, backend=backend)
    others = own.exclude(state=ModelVersion.State.ARCHIVED)
    if serving is not None:
        others = others.exclude(pk=serving.pk)
    before = version_before(serving)
    old = [version for version in others.order_by('-number')[keep:] if version != before]
    return [version for version in reversed(old) if not is_predicting(version)]


def version_before(serving: ModelVersion | None) -> ModelVersion | None:
    """The version that was in service before this one; what a rollback goes back to."""
    if serving is None:
        return None
    others = ModelVersion.objects.filter(project=serving.project_id, backend=serving.backend).exclude(pk=serving.pk)
    return (
        others.exclude(served_at=None).order_by('-served_at').first()
        or others.filter(number__lt=serving.number).first()
    )
