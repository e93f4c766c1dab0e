"""Pre-label tasks that were imported or synced, however they came: by looking for higher task numbers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Count, Max, Min
from django.utils import timezone

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.errors import NeedsTrainingError
from label_studio.ml_host.prelabeling.versions import usable_version

logger = logging.getLogger(__name__)

# An import goes on in several steps: wait until nothing came for a while, but not for ever.
QUIET_SECONDS = 2.0
LONGEST_SECONDS = 30.0


@dataclass(frozen=True)
class Sighting:
    """New tasks of a project that are not dealt with yet.

    Attributes:
        newest: Highest task number.
        first_at: When the first of them was noticed.
        changed_at: When `newest` last grew.
        horizon: Transactions that began before this one may still add lower numbers; None until asked.
    """

    newest: int
    first_at: float
    changed_at: float
    horizon: int | None = None

    def is_quiet(self, now: float) -> bool:
        """Whether nothing more is to be waited for."""
        return now - self.changed_at >= QUIET_SECONDS or now - self.first_at >= LONGEST_SECONDS


class Arrivals:
    """Watches the projects that want their new tasks pre-labeled. One for each process; only one of them acts."""

    def __init__(self) -> None:
        self._seen: dict[int, Sighting] = {}

    @property
    def is_watching(self) -> bool:
        """Whether something has come and is waited for."""
        return bool(self._seen)

    def look(self) -> None:
        """Start runs for what has come since the last time and is complete."""
        rows = list(ProjectBackend.objects.filter(enabled=True, prelabel_new=True))
        for row in rows:
            try:
                self._look(row)
            except NeedsTrainingError:
                continue  # its tasks wait for the first version
            except Exception:
                logger.exception('New tasks of %s could not be pre-labeled', row)
        for pk in self._seen.keys() - {row.pk for row in rows}:
            del self._seen[pk]

    def _look(self, row: ProjectBackend) -> None:
        newest = _tasks(row).aggregate(newest=Max('id'))['newest']
        if newest is None:
            self._seen.pop(row.pk, None)
            return
        now = time.monotonic()
        before = self._seen.get(row.pk)
        if before is None:
            before = Sighting(newest, now, now)
        elif newest > before.newest and not before.is_quiet(now):
            before = Sighting(newest, before.first_at, now)
        if before.is_quiet(now) and (horizon := _horizon_passed(before.horizon)) is not True:
            before = Sighting(before.newest, before.first_at, before.changed_at, horizon)
        elif before.is_quiet(now):
            _start(row, before.newest)
            self._seen.pop(row.pk, None)
            return
        self._seen[row.pk] = before


def _tasks(row: ProjectBackend):
    from label_studio.ml_host.upstream import Task

    return Task.objects.filter(project_id=row.project_id, id__gt=row.prelabel_seen).order_by()


def _horizon_passed(horizon: int | None) -> bool | int:
    """Whether every transaction that could still add a task with a lower number has ended.

    PostgreSQL gives numbers when rows are inserted and shows them when they are committed: a long import may bring
    lower numbers than what is there already. SQLite has one writer at a time.

    Returns:
        True, or the horizon to ask for the next time.
    """
    if connection.vendor != 'postgresql':
        return True
    with connection.cursor() as cursor:
        cursor.execute('SELECT txid_snapshot_xmin(s), txid_snapshot_xmax(s) FROM txid_current_snapshot() AS s')
        oldest, following = cursor.fetchone()
    wanted = following if horizon is None else horizon
    return True if oldest >= wanted else wanted


def _start(row: ProjectBackend, newest: int) -> None:
    active = gate.active(row.project_id, row.backend)
    if active is None:
        return
    version = usable_version(active, None)
    found = _tasks(row).filter(id__lte=newest).aggregate(first=Min('id'), total=Count('id'))
    with transaction.atomic():
        # Only one process gets past this.
        mine = ProjectBackend.objects.filter(pk=row.pk, prelabel_seen=row.prelabel_seen, prelabel_new=True)
        if not mine.update(prelabel_seen=newest, updated_at=timezone.now()):
            return
        if found['total']:
            options = {'skip_predicted': False, 'skip_labeled': False, 'one_by_one': False}
            runs.create_run(active, version, (found['first'], newest), found['total'], None, options, None)
