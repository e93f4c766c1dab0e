"""What a person chooses before a pre-labeling starts: the model, and the tasks to leave out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.http_backends.rows import as_row, connection_of, connections_of, is_http, row_of
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.prelabeling.errors import PrelabelError
from label_studio.ml_host.prelabeling.on_open import selected_backend
from ml_plugins.registry import registry

OFFERED_VERSIONS = 20


class ChoiceError(PrelabelError):
    """Something was chosen that cannot be had; the message names the field, the value and what can be chosen."""

    code = 'bad_choice'


@dataclass(frozen=True)
class Skip:
    """Tasks that a pre-labeling leaves out.

    Attributes:
        value: What a form sends.
        title: What a person reads.
        predicted: Leave out tasks with any prediction.
        labeled: Leave out labeled tasks.
    """

    value: str
    title: str
    predicted: bool = False
    labeled: bool = False


SKIPS: tuple[Skip, ...] = (
    Skip('nothing', 'Predict all'),
    Skip('predicted', 'Skip tasks with any prediction', predicted=True),
    Skip('labeled', 'Skip labeled tasks', labeled=True),
    Skip('both', 'Skip labeled tasks and tasks with any prediction', predicted=True, labeled=True),
)


@dataclass(frozen=True)
class Model:
    """A backend in one of its versions.

    Attributes:
        row: The enabled backend.
        version: One of its versions; None for the one in service when the pre-labeling starts.
    """

    row: ProjectBackend
    version: ModelVersion | None = None

    @property
    def value(self) -> str:
        """What a form sends: ``name`` or ``name:number``."""
        return f'{self.row.backend}:{self.version.number}' if self.version else self.row.backend

    @property
    def title(self) -> str:
        """What a person reads where there are several backends."""
        return f'{_title(self.row)}, {self.version_title}'

    @property
    def version_title(self) -> str:
        """What a person reads where there is one backend."""
        if is_http(self.row.backend):
            return f'version {self.row.params["version"]} (by URL)'
        if self.version is not None:
            return f'version {self.version.number}'
        in_service = self.row.in_service
        return f'version {in_service.number} (in service)' if in_service else 'as installed'


def skip_of(value: str) -> Skip:
    """The choice that a form sent."""
    found = next((skip for skip in SKIPS if skip.value == value), None)
    if found is None:
        known = ', '.join(skip.value for skip in SKIPS)
        raise ChoiceError(f'skip: "{value}" is not a choice; choose one of {known}')
    return found


def models_of(row: ProjectBackend) -> Iterator[Model]:
    """A backend's versions to choose from: the one in service first, then the others, newest first."""
    yield Model(row)
    others = ModelVersion.objects.filter(project_id=row.project_id, backend=row.backend)
    for version in others.exclude(pk=row.in_service_id)[:OFFERED_VERSIONS]:
        yield Model(row, version)


def models_of_project(project) -> list[Model]:
    """Every enabled backend in every version, the usual one first."""
    usual = usual_backend(project)
    rows = sorted(gate.active_of_project(project.pk), key=lambda row: usual is not None and row.pk != usual.pk)
    found = [model for row in rows for model in models_of(row)]
    return found + [Model(as_row(connection)) for connection in connections_of(project)]


def usual_backend(project) -> ProjectBackend | None:
    """The plugin to take when nobody chose one: that selected on upstream's Model page, else the first enabled."""
    return selected_backend(project) or next(iter(gate.active_of_project(project.pk)), None)


def model_of(project, value: str) -> Model:
    """The backend and version that a form sent; an empty value means the usual backend.

    Raises:
        ChoiceError: Nothing is enabled, or there is no such backend or version.
    """
    if is_http(value):
        return Model(_connected(project, value))
    row = usual_backend(project)
    if row is None:
        raise ChoiceError('No model is enabled on this project: switch one on in Settings, ML backends')
    if not value:
        return Model(row)
    name, _, number = value.partition(':')
    rows = gate.active_of_project(project.pk)
    row = next((row for row in rows if row.backend == name), None)
    if row is None:
        known = ', '.join(row.backend for row in rows)
        raise ChoiceError(f'model: "{name}" is not enabled on this project; enabled are {known}')
    return Model(row, version_of(row, number) if number else None)


def _connected(project, name: str) -> ProjectBackend:
    row = row_of(project.pk, name)
    if row is None:
        raise ChoiceError(f'model: "{name}" is not connected to this project (any more)')
    return row


def version_of(row: ProjectBackend, number: str | int) -> ModelVersion:
    """One version of a backend by its number.

    Raises:
        ChoiceError: There is none of that number; names those there are.
    """
    versions = ModelVersion.objects.filter(project_id=row.project_id, backend=row.backend)
    found = versions.filter(number=int(number)).first() if str(number).isdecimal() else None
    if found is None:
        known = ', '.join(str(item) for item in versions.values_list('number', flat=True)[:OFFERED_VERSIONS])
        raise ChoiceError(f'version: {row.backend} has no version "{number}"; it has {known or "none yet"}')
    return found


def _title(row: ProjectBackend) -> str:
    if is_http(row.backend):
        connection = connection_of(row.project_id, row.backend)
        return connection.title or connection.url
    return registry.get(row.backend).title
