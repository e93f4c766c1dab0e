"""What follows when people agree with the version in service clearly less: it is said, and may be rolled back."""

from __future__ import annotations

import logging

from django.db import transaction

from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend
from label_studio.ml_host.quality.drop import Drop, drop_of, is_time_to_test
from ml_plugins.exceptions import ModelVersionError

logger = logging.getLogger(__name__)


def judge(row: ProjectBackend, version: ModelVersion, added: int) -> None:
    """Report a clear drop of the version in service, once for each time that it went into service.

    Args:
        version: As it was before the latest annotations were counted.
        added: How many they were.
    """
    if not is_time_to_test(version.live_count, version.live_count + added):
        return
    version.refresh_from_db()
    current = ProjectBackend.objects.select_related('in_service').filter(pk=row.pk, enabled=True).first()
    if current is None or current.in_service_id != version.pk:
        return
    before = _served_before(version)
    drop = drop_of(version, before) if before is not None else None
    if drop is None or not _report(current, version, before, drop):
        return
    if LearningSettings.of(current.learning).roll_back:
        _roll_back(current, version, before, drop)


def _served_before(version: ModelVersion) -> ModelVersion | None:
    """The version that was in service before."""
    versions = ModelVersion.objects.filter(project=version.project_id, backend=version.backend)
    served = versions.filter(served_at__lt=version.served_at) if version.served_at else versions.none()
    return served.exclude(state=ModelVersion.State.FAILED).order_by('-served_at').first()


def _report(row: ProjectBackend, version: ModelVersion, before: ModelVersion, drop: Drop) -> bool:
    """Write the event; False when it was written since the version went into service."""
    from label_studio.ml_host.enabling import services

    action = BackendEvent.Action.AGREEMENT
    events = BackendEvent.objects.filter(project=row.project_id, backend=row.backend, action=action)
    with transaction.atomic():
        # Two processes that judge at once wait for each other here.
        ProjectBackend.objects.select_for_update().get(pk=row.pk)
        if events.filter(detail__version=version.number, created_at__gte=version.served_at).exists():
            return False
        services.audit(
            row.project, row.backend, action, version=version.number, before=before.number, reason=drop.sentence
        )
    logger.warning('%s on project %s: %s', row.backend, row.project_id, drop.sentence)
    return True


def _roll_back(row: ProjectBackend, version: ModelVersion, before: ModelVersion, drop: Drop) -> None:
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.versions.service import put_in_service

    try:
        put_in_service(before, reason=drop.sentence)
    except ModelVersionError as error:
        logger.warning('%s on project %s stays at version %s: %s', row.backend, row.project_id, version.number, error)
        return
    action = BackendEvent.Action.ROLLED_BACK
    services.audit(row.project, row.backend, action, version=before.number, left=version.number, reason=drop.sentence)
