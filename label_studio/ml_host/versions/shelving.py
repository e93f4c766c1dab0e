"""How a prepared folder becomes the next version of a backend: all of it or nothing, whatever is killed or away."""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction

from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.versions import remote
from label_studio.ml_host.versions.local import note_use
from label_studio.ml_host.versions.manifest import FILES, mark_copy, sync, write_manifest
from label_studio.ml_host.versions.work import move

logger = logging.getLogger(__name__)

# Is given the version's columns and the locked row of the backend; makes the version and all that goes with it.
Record = Callable[[dict[str, Any], ProjectBackend | None], ModelVersion]


class Shelving:
    """One folder on its way to become a version; `abandon` it when it does not get there.

    Args:
        staging: An empty folder of its own, in which `files` is filled before `prepare`.
    """

    def __init__(self, staging: Path, project_id: int, backend: str) -> None:
        self.files = staging / FILES
        self._place = staging
        self._project_id = project_id
        self._backend = backend
        self._home = Path(settings.ML_VERSION_DIR) / backend / str(project_id)
        self._columns: dict[str, Any] = {}
        self._key = ''

    def prepare(self) -> None:
        """Write the manifest, and store everything where other machines find it.

        Raises:
            TrainingError: There is something else than plain files.
            VersionStorageError: The storage does not take it.
        """
        digest, size = write_manifest(self._place)
        stored = remote.configured()
        if stored is not None:
            now = time.strftime('%Y%m%d-%H%M%S', time.gmtime())
            self._key = f'{remote.ROOT}/{self._backend}/{self._project_id}/{now}-{uuid.uuid4().hex[:12]}'
            # First of all: who finds this folder after a crash knows what to remove.
            mark_copy(self._place, self._key)
            stored.push(self._place, self._key)
        self._columns = {'digest': digest, 'size': size, 'remote': self._key}

    def record(self, make: Record) -> ModelVersion:
        """Give the folder its number and place, and make the version with `make`, in one transaction.

        A database that is away for a moment is waited for; `make` may be called again then.
        """
        return patiently(lambda: self._committed() or self._record(make))

    def abandon(self) -> None:
        """Remove everything, unless it has become a version after all."""
        try:
            version = self._committed()
        except DatabaseError as error:
            logger.error('%s stays: the database does not say whether it has become a version: %s', self._place, error)
            return
        if version is None:
            remove_folder(self._place, self._key)

    def _record(self, make: Record) -> ModelVersion:
        with transaction.atomic():
            # Numbers are given out under the lock of the backend's row.
            rows = ProjectBackend.objects.select_for_update()
            row = rows.filter(project=self._project_id, backend=self._backend).first()
            number = self._next_number(row)
            self._put(self._home / f'v{number}')
            if row is not None:
                row.last_version = number
                row.save(update_fields=['last_version'])
            own = {'project_id': self._project_id, 'backend': self._backend, 'number': number}
            return make({**own, 'directory': self._directory, **self._columns}, row)

    def _put(self, target: Path) -> None:
        if self._place != target:
            if self._key:
                note_use(self._place)
            move(self._place, target)
            self._place = target
        sync(self._home)

    @property
    def _directory(self) -> str:
        return self._place.relative_to(settings.ML_VERSION_DIR).as_posix()

    def _committed(self) -> ModelVersion | None:
        """The version, when a transaction that seemed to fail did not."""
        if self._place.parent != self._home:
            return None
        found = ModelVersion.objects.filter(project=self._project_id, backend=self._backend)
        return found.filter(directory=self._directory, digest=self._columns['digest']).first()

    def _next_number(self, row: ProjectBackend | None) -> int:
        rows = ModelVersion.objects.filter(project_id=self._project_id, backend=self._backend)
        taken = [0, row.last_version if row is not None else 0, *rows.values_list('number', flat=True)]
        # A folder without a row is left from a crash or an older database; it is never written over.
        others = (path for path in self._home.glob('v*') if path != self._place)
        taken += [int(path.name[1:]) for path in others if path.name[1:].isdigit()]
        return max(taken) + 1


def remove_folder(folder: Path, key: str) -> None:
    """Remove a version's folder here and in the version storage, as far as that answers."""
    shutil.rmtree(folder, ignore_errors=True)
    if key:
        stored = remote.configured()
        if stored is not None:
            stored.remove(key)
