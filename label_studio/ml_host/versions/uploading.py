"""Take a version that was trained elsewhere: everything about it is checked before it becomes a candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import transaction

from label_studio.ml_host.enabling import gate, services
from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend
from label_studio.ml_host.quality import measuring
from label_studio.ml_host.versions import archive, trial
from label_studio.ml_host.versions.errors import UploadError, UploadTooLargeError, VersionStateError
from label_studio.ml_host.versions.safety import refuse_unsafe
from label_studio.ml_host.versions.shelving import Shelving
from label_studio.ml_host.versions.work import new_upload
from ml_plugins.exceptions import LabelConfigError, ParameterError
from ml_plugins.label_config import Control, LabelConfig, parse_label_config
from ml_plugins.params import resolve_params
from ml_plugins.plain import storable_text, why_not_json
from ml_plugins.registry import registry

TRIGGER = 'uploaded'


def upload(project: Any, backend: str, file: BinaryIO, user: Any = None) -> ModelVersion:
    """Make a candidate from what `package.download` gave, here or on another server.

    Raises:
        VersionStateError: The backend is not enabled on the project.
        UploadError: The file is not taken; the message names what is wrong with it.
    """
    row = gate.active(project.pk, backend)
    if row is None:
        raise VersionStateError(f'ML backend "{backend}" is not enabled on project {project.pk}; enable it first.')
    _check_size(file)
    shelving = Shelving(new_upload(), project.pk, backend)
    try:
        with archive.opened(file, settings.ML_VERSION_UPLOAD_BYTES) as uploaded:
            about = uploaded.about
            _check_about(about, backend)
            _check_label_config(about, project, backend)
            uploaded.unpack(shelving.files)
            refuse_unsafe(shelving.files, uploaded.names, registry.get(backend).backend_class().safe_files)
        _check_loadable(about, project, row, shelving.files)
        shelving.prepare()
        return shelving.record(lambda columns, _: _record(columns, about, user))
    except BaseException:
        shelving.abandon()
        raise


def _record(columns: dict[str, Any], about: dict[str, Any], user: Any) -> ModelVersion:
    origin = f'version {about.get("number")}' if isinstance(about.get('number'), int) else 'a version'
    version = ModelVersion.objects.create(
        **columns,
        metrics=_numbers(about['metrics']),
        params=about['params'],
        label_config=storable_text(about['label_config']),
        trained_on=_count(about.get('trained_on')),
        trigger=TRIGGER,
        reason=f'Uploaded{f" by {user}" if user is not None else ""}; it was {origin} where it was trained.',
    )
    services.audit(version.project, version.backend, BackendEvent.Action.UPLOADED, user, version=version.number)
    # How good it is on this project's labels, a worker finds out.
    transaction.on_commit(lambda: measuring.request(version), robust=True)
    return version


def _check_size(file: BinaryIO) -> None:
    size, largest = getattr(file, 'size', None), settings.ML_VERSION_UPLOAD_BYTES
    if size is not None and size > largest:
        raise UploadTooLargeError(f'The file has {size} bytes, more than the {largest} of ML_VERSION_UPLOAD_BYTES.')


def _check_about(about: dict[str, Any], backend: str) -> None:
    if about['backend'] != backend:
        raise UploadError(
            f'The version is of ML backend "{about["backend"]}" and cannot be one of "{backend}": upload it there.'
        )
    if reason := why_not_json(about['params']):
        raise UploadError(f'version.json: "params" cannot be stored: {reason}.')
    try:
        resolve_params(registry.get(backend).backend_class().params, about['params'])
    except ParameterError as error:
        raise UploadError(f'version.json: {error}. Install the release of the plugin that trained it.') from error


def _check_label_config(about: dict[str, Any], project: Any, backend: str) -> None:
    """Refuse a version that answers what the project does not ask. Raises `UploadError`."""
    services.check_servable(project, registry.get(backend))
    own = parse_label_config(project.label_config)
    try:
        theirs = parse_label_config(about['label_config'])
    except LabelConfigError as error:
        raise UploadError(f'version.json: {error}') from error
    kinds = {pair.control.lower() for pair in registry.get(backend).backend_class().serves}
    for control in theirs.all_controls:
        if control.type in kinds:
            _check_control(control, own, project)


def _check_control(control: Control, own: LabelConfig, project: Any) -> None:
    same = [item for item in own.all_controls if (item.name, item.type) == (control.name, control.type)]
    tag = f'<{control.tag} name="{control.name}">'
    if not same:
        raise UploadError(
            f'The version answers {tag}, which the label config of project "{project.title}" has not: name its '
            f'{control.tag} tag "{control.name}", or upload the version to another project.'
        )
    missing = [label for label in control.labels if not any(label in item.labels for item in same)]
    if missing:
        raise UploadError(
            f'The version answers "{missing[0]}" in {tag}, which the label config of project "{project.title}" has '
            'not: add this label, or upload the version to another project.'
        )


def _check_loadable(about: dict[str, Any], project: Any, row: ProjectBackend, files: Path) -> None:
    reason = trial.why_not_loadable(project, row.backend, row.params, files, about['metrics'])
    if reason:
        made_by = about.get('package') or 'another release'
        raise UploadError(
            f'The version cannot be loaded here: {reason}. It was trained with {made_by}; install the same release of '
            'the plugin, and set the same parameters.'
        )


def _numbers(metrics: dict[str, Any]) -> dict[str, float | None]:
    from label_studio.ml_host.training.recorder import clean_metrics

    try:
        known = clean_metrics({name: value for name, value in metrics.items() if value is not None})
    except TypeError as error:
        raise UploadError(f'version.json: {error}') from error
    return {**dict.fromkeys(map(storable_text, metrics)), **known}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0
