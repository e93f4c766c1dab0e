"""Which version a run predicts with."""

from __future__ import annotations

from label_studio.ml_host.http_backends.rows import is_http
from label_studio.ml_host.models import ModelVersion, PrelabelRun, ProjectBackend, version_label
from label_studio.ml_host.prelabeling.errors import NeedsTrainingError, PrelabelError, WrongVersionError
from label_studio.ml_host.serving import host


def check_version_exists(run: PrelabelRun) -> None:
    """Refuse a run whose version was deleted. Raises `WrongVersionError`."""
    if is_http(run.backend):
        return
    if run.version_id is None and run.label != version_label(run.backend, None):
        raise WrongVersionError(f'Version {run.label} was deleted: start a run with another version.')


def usable_version(row: ProjectBackend, version: ModelVersion | None) -> ModelVersion | None:
    """The given version, or the one in service; None for a model that needs no training.

    Raises:
        WrongVersionError: The version is not one of this project and backend.
        NeedsTrainingError: There is none yet.
        PrelabelError: The plugin's class cannot be imported.
    """
    if version is not None:
        if (version.project_id, version.backend) != (row.project_id, row.backend):
            raise WrongVersionError(
                f'Version {version.label} of project {version.project_id} is not a version of '
                f'"{row.backend}" on project {row.project_id}.'
            )
        return version
    try:
        needs_training = host.needs_training(row)
    except Exception as error:  # importing a plugin's class may raise anything
        raise PrelabelError(f'"{row.backend}" cannot be used: {error}') from error
    if needs_training:
        raise NeedsTrainingError(f'"{row.backend}" has no version yet: train it first.')
    return row.in_service
