"""Publish what a run produced, hand out the files of a version, and put a version in service."""

from __future__ import annotations

import errno
import logging
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training.lifecycle import State, owned
from label_studio.ml_host.training.manifest import FILES, sync, verify, write_manifest
from label_studio.ml_host.training.queueing import announce_version
from ml_plugins.exceptions import ModelVersionError, TrainingCancelledError
from ml_plugins.types import VersionFiles

logger = logging.getLogger(__name__)


def publish(run: TrainingRun, work_directory: Path, metrics: Mapping[str, Any], trained_on: int) -> ModelVersion:
    """Turn a work directory into the next version, put it in service and finish the run: all of it or nothing.

    Args:
        run: The running run.
        work_directory: What ``fit`` left; it is moved.
        metrics: What ``fit`` returned.
        trained_on: Number of labeled tasks trained on.

    Raises:
        TrainingCancelledError: The run is not this process's any more.
        TrainingError: The directory holds something else than plain files.
    """
    staging = Path(settings.ML_WORK_DIR) / f'publish-{run.pk}-{uuid.uuid4().hex[:8]}'
    final: Path | None = None
    try:
        staging.mkdir(parents=True)
        _move(Path(work_directory), staging / FILES)
        digest, size = write_manifest(staging)
        with transaction.atomic():
            # Numbers are given out under the lock of the backend's row.
            row = ProjectBackend.objects.select_for_update().filter(project=run.project_id, backend=run.backend).first()
            home = Path(settings.ML_VERSION_DIR) / run.backend / str(run.project_id)
            number = _next_number(run, home)
            final = home / f'v{number}'
            _move(staging, final)
            sync(home)
            version = ModelVersion.objects.create(
                project_id=run.project_id,
                backend=run.backend,
                number=number,
                directory=final.relative_to(settings.ML_VERSION_DIR).as_posix(),
                digest=digest,
                size=size,
                metrics=dict(metrics),
                params=run.params,
                trained_on=trained_on,
            )
            ended = owned(run).update(
                state=State.FINISHED, version=version, metrics=dict(metrics), ended_at=timezone.now()
            )
            if not ended:
                raise TrainingCancelledError('The run was taken away from this process.')
            if row is not None:
                _serve(row, version, run.created_by)
    except BaseException:
        if final is not None:
            shutil.rmtree(final, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return version


def version_files(version: ModelVersion) -> VersionFiles:
    """The files of a version, checked against their checksums.

    Raises:
        ModelVersionError: A file is missing or damaged; the message names it.
    """
    path = verify(Path(settings.ML_VERSION_DIR) / version.directory, version.digest, version.label)
    return VersionFiles(version.number, path, dict(version.metrics))


def put_in_service(version: ModelVersion, user: Any = None) -> None:
    """Make a version the one that predicts, after checking its files.

    Raises:
        ModelVersionError: Its files are damaged, or the backend was never enabled on the project.
    """
    version_files(version)
    with transaction.atomic():
        rows = ProjectBackend.objects.select_for_update()
        row = rows.filter(project=version.project_id, backend=version.backend).first()
        if row is None:
            raise ModelVersionError(f'ML backend "{version.backend}" is not enabled on project {version.project_id}.')
        _serve(row, version, user)


def remove_stale_work() -> int:
    """Remove work directories of runs that are not running; what ended processes left behind.

    Returns:
        How many were removed.
    """
    work = Path(settings.ML_WORK_DIR)
    running = set(TrainingRun.objects.filter(state=State.RUNNING).values_list('pk', flat=True))
    count = 0
    for folder in work.iterdir() if work.is_dir() else ():
        kind, _, rest = folder.name.partition('-')
        number = rest.partition('-')[0]
        if kind in ('run', 'publish') and number.isdigit() and int(number) not in running:
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _serve(row: ProjectBackend, version: ModelVersion, user: Any) -> None:
    from label_studio.ml_host.enabling import services

    row.in_service = version
    row.save(update_fields=['in_service', 'updated_at'])
    services.audit(version.project, version.backend, 'in_service', user, version=version.number)
    transaction.on_commit(lambda: announce_version(version.project_id, version.backend))


def _next_number(run: TrainingRun, home: Path) -> int:
    rows = ModelVersion.objects.filter(project_id=run.project_id, backend=run.backend)
    taken = [0, *rows.values_list('number', flat=True)]
    # A folder without a row is left from a crash or an older database; it is never written over.
    taken += [int(path.name[1:]) for path in home.glob('v*') if path.name[1:].isdigit()]
    return max(taken) + 1


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Folders on different disks: copy under another name first, so that the last step is a rename again.
        copy = target.with_name(f'.{target.name}-{uuid.uuid4().hex[:8]}')
        try:
            shutil.copytree(source, copy, symlinks=True)
            copy.rename(target)
        except BaseException:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        shutil.rmtree(source, ignore_errors=True)
