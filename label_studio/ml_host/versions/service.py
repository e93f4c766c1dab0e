"""Which version predicts, and what becomes of the others: in service, put aside, removed."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend
from label_studio.ml_host.training.queueing import announce_version
from label_studio.ml_host.versions import removal
from label_studio.ml_host.versions.errors import VersionStateError
from label_studio.ml_host.versions.files import version_files
from ml_plugins.exceptions import ModelVersionError

logger = logging.getLogger(__name__)

State = ModelVersion.State


def put_in_service(version: ModelVersion, user: Any = None, reason: str = '') -> None:
    """Make a version the one that predicts, after checking its files.

    Args:
        version: A candidate.
        user: Who wants it; None for the server itself.
        reason: Why, in a sentence; of the version's own when not given.

    Raises:
        ModelVersionError: Its files are damaged, it was put aside or cannot predict, or the backend was never enabled
            on the project.
    """
    version_files(version)
    with transaction.atomic():
        row = _locked(version)
        _check_can_serve(version)
        if row.in_service_id != version.pk:
            version.reason = reason or (f'Put in service by {user}.' if user is not None else version.reason)
            serve(row, version, user)


def serve(row: ProjectBackend, version: ModelVersion, user: Any) -> None:
    """Let a locked row's predictions come from a version; said to every process once that is committed."""
    from label_studio.ml_host.enabling import services

    version.served_at = timezone.now()
    # What is counted is how people agree with it from now on.
    version.live_count, version.live_sum = 0, 0.0
    version.save(update_fields=['served_at', 'live_count', 'live_sum', 'reason'])
    row.in_service = version
    row.save(update_fields=['in_service', 'updated_at'])
    services.audit(version.project, version.backend, BackendEvent.Action.IN_SERVICE, user, version=version.number)
    # Robust: a version that is in service is not taken back because telling it fails.
    transaction.on_commit(lambda: announce_version(row.project_id, row.backend), robust=True)
    transaction.on_commit(lambda: _refresh(row), robust=True)


def archive(version: ModelVersion, user: Any = None) -> None:
    """Put a version aside: it is kept until somebody deletes it, and does not go into service.

    Raises:
        VersionStateError: It is in service, or is not a candidate.
    """
    _change_state(version, State.CANDIDATE, State.ARCHIVED, user, BackendEvent.Action.ARCHIVED)


def unarchive(version: ModelVersion, user: Any = None) -> None:
    """Make a version that was put aside a candidate again.

    Raises:
        VersionStateError: It was not put aside.
    """
    _change_state(version, State.ARCHIVED, State.CANDIDATE, user, BackendEvent.Action.UNARCHIVED)


def delete(version: ModelVersion, user: Any = None) -> None:
    """Remove a version with its files; predictions that it made stay, and its number is not used again.

    Raises:
        VersionStateError: It is in service, or a pre-labeling predicts with it.
    """
    with transaction.atomic():
        row = _locked(version)
        _check_not_in_service(row, version, 'deleted')
        if removal.is_predicting(version):
            raise VersionStateError(
                f'Version {version.number} cannot be deleted: a pre-labeling predicts with it. Cancel that, or wait.'
            )
        removal.remove(version, user)


def retain(project_id: int, backend: str, keep: int) -> int:
    """Remove the oldest versions beyond a number.

    The version in service, the one that was before it, those put aside and those that a pre-labeling predicts with
    stay in any case.

    Args:
        keep: Versions that are kept besides the one in service.

    Returns:
        How many were removed.
    """
    with transaction.atomic():
        rows = ProjectBackend.objects.select_for_update()
        row = rows.filter(project=project_id, backend=backend).first()
        serving = row.in_service if row is not None else None
        leaving = removal.beyond(project_id, backend, serving, keep)
        for version in leaving:
            removal.remove(version, reason=f'Only the newest {keep} are kept.')
    return len(leaving)


def _locked(version: ModelVersion) -> ProjectBackend:
    rows = ProjectBackend.objects.select_for_update()
    row = rows.filter(project=version.project_id, backend=version.backend).first()
    if row is None:
        raise ModelVersionError(
            f'ML backend "{version.backend}" was never enabled on project {version.project_id}; enable it first.'
        )
    return row


def _check_can_serve(version: ModelVersion) -> None:
    try:
        version.refresh_from_db(fields=['state'])
    except ModelVersion.DoesNotExist:
        raise VersionStateError(f'Version {version.number} was deleted meanwhile.') from None
    if version.state == State.ARCHIVED:
        raise VersionStateError(f'Version {version.number} is archived: take it out of the archive first.')
    if version.state == State.FAILED:
        why = f': {version.reason}' if version.reason else '.'
        raise VersionStateError(f'Version {version.number} cannot go into service, it failed its examination{why}')


def _check_not_in_service(row: ProjectBackend, version: ModelVersion, what: str) -> None:
    if row.in_service_id == version.pk:
        raise VersionStateError(
            f'Version {version.number} is in service and cannot be {what}: put another one in service first.'
        )


def _change_state(version: ModelVersion, old: State, new: State, user: Any, action: BackendEvent.Action) -> None:
    from label_studio.ml_host.enabling import services

    with transaction.atomic():
        _check_not_in_service(_locked(version), version, new.label.lower())
        if not ModelVersion.objects.filter(pk=version.pk, state=old).update(state=new):
            version.refresh_from_db(fields=['state'])
            raise VersionStateError(
                f'Version {version.number} is {version.get_state_display().lower()}; only one that is '
                f'{old.label.lower()} can become {new.label.lower()}.'
            )
        services.audit(version.project, version.backend, action, user, version=version.number)
    version.state = new


def _refresh(row: ProjectBackend) -> None:
    from label_studio.ml_host.learning import refresh

    refresh.after_version(row)
