"""Which version a training starts from."""

from __future__ import annotations

from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training.content import unpack
from label_studio.ml_host.training.run_log import RunLog
from label_studio.ml_host.versions.files import version_files
from ml_plugins.exceptions import ModelVersionError, TrainingError
from ml_plugins.types import VersionFiles


def previous_files(run: TrainingRun, row: ProjectBackend, log: RunLog) -> VersionFiles | None:
    """Files of the version to start from: the one in service, or the one that an earlier attempt started from.

    Raises:
        TrainingError: A version is to be trained again, and what it started from is gone.
    """
    version = _previous(run, row)
    if version is None:
        return None
    try:
        return version_files(version)
    except ModelVersionError as error:
        if run.repeats_id is not None:
            raise TrainingError(f'Nothing was trained, as the result would be another one: {error}') from error
        # A damaged version is one more reason to train, not one to refuse it.
        log.write(f'Training starts from scratch: {error}')
        return None


def _previous(run: TrainingRun, row: ProjectBackend) -> ModelVersion | None:
    if run.snapshot is None:
        return row.in_service
    number = unpack(run.snapshot.content).previous
    if number is None:
        return None
    versions = ModelVersion.objects.filter(project_id=run.project_id, backend=run.backend, number=number)
    version = versions.first()
    if version is None and run.repeats is not None:
        raise TrainingError(
            f'Version {run.repeats.number} started from version {number}, which was deleted, so it cannot be trained '
            'to the same result.'
        )
    return version
