"""What a backend did by itself and a person should read first: held back, rolled back, agreement dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend, TrainingRun

UPLOADED = 'uploaded'
_Action = BackendEvent.Action
_State = ModelVersion.State


@dataclass(frozen=True)
class Notice:
    """A message above the versions.

    Attributes:
        kind: ``held_back``, ``failed``, ``agreement`` or ``rolled_back``.
        title: What happened.
        text: Why, with the numbers.
        at: When.
        serving: Number of the version in service; None when there is none.
        other: The version that could serve instead; None where there is none, or it is gone.
    """

    kind: str
    title: str
    text: str
    at: datetime
    serving: int | None = None
    other: ModelVersion | None = None

    @property
    def level(self) -> str:
        """``error`` or ``warning``."""
        return 'error' if self.kind == 'failed' else 'warning'

    @property
    def can_serve(self) -> bool:
        """Whether the other one can be put in service, against what happened by itself."""
        return self.other is not None and self.other.state == _State.CANDIDATE

    @property
    def can_compare(self) -> bool:
        """Whether the two can be held against each other."""
        return self.can_serve and self.serving is not None

    @property
    def can_archive(self) -> bool:
        """Whether the other one can be put aside, and the message with it."""
        return self.can_serve and self.kind in ('held_back', 'rolled_back')


def notices_of(row: ProjectBackend) -> Sequence[Notice]:
    """What happened since a version last went into service, newest first."""
    return sorted((*_newest_version(row), *_events(row)), key=lambda notice: notice.at, reverse=True)


def _newest_version(row: ProjectBackend) -> list[Notice]:
    """The newest version, where it was made since and is not in service."""
    newest = ModelVersion.objects.filter(project=row.project_id, backend=row.backend).first()
    serving = row.in_service
    if newest is None or newest == serving:
        return []
    if serving is not None and newest.created_at < (serving.served_at or serving.created_at):
        return []
    number = serving.number if serving else None
    if newest.state == _State.FAILED:
        return [Notice('failed', f'Version {newest.number} cannot be used', newest.reason, newest.created_at, number)]
    if newest.state == _State.CANDIDATE and newest.reason and not _was_asked_for(newest):
        title = f'Version {newest.number} was not put in service'
        return [Notice('held_back', title, newest.reason, newest.created_at, number, newest)]
    return []


def _was_asked_for(version: ModelVersion) -> bool:
    """Whether somebody uploaded it, or trained an older one again: it waits as it was meant to."""
    return version.trigger == UPLOADED or TrainingRun.objects.filter(version=version, repeats__isnull=False).exists()


def _events(row: ProjectBackend) -> list[Notice]:
    """What was said of the version in service since it went there."""
    serving = row.in_service
    if serving is None:
        return []
    since = serving.served_at or serving.created_at
    own = BackendEvent.objects.filter(project=row.project_id, backend=row.backend, created_at__gte=since)
    found = []
    for action, kind, title, key in (
        (_Action.AGREEMENT, 'agreement', f'People agree less with version {serving.number}', 'before'),
        (_Action.ROLLED_BACK, 'rolled_back', f'Rolled back to version {serving.number}', 'left'),
    ):
        event = own.filter(action=action, detail__version=serving.number).first()
        if event is not None:
            other = ModelVersion.objects.filter(
                project=row.project_id, backend=row.backend, number=event.detail.get(key)
            ).first()
            found.append(Notice(kind, title, event.detail.get('reason', ''), event.created_at, serving.number, other))
    # Who puts the version aside that was left has read why.
    return [item for item in found if item.kind != 'rolled_back' or not _is_archived(item.other)]


def _is_archived(version: ModelVersion | None) -> bool:
    return version is not None and version.state == _State.ARCHIVED
