"""Which backend, project and version a request is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ModelVersion, ProjectBackend, version_label
from label_studio.ml_host.serving import host
from label_studio.ml_host.serving.service.errors import (
    AmbiguousTargetError,
    ForbiddenError,
    NoSuchTargetError,
    NotTrainedError,
    ServiceError,
)
from label_studio.ml_host.serving.service.recent import Recent
from ml_plugins.label_config import LabelConfig, parse_label_config
from ml_plugins.registry import registry
from ml_plugins.runtime import ModelSpec

# Another process may have switched a backend off; it is heard of after at most this long, in seconds.
KEPT_SECONDS = 1.0
_recent: Recent[Any] = Recent(KEPT_SECONDS)
forget = _recent.forget

# More are not listed in a message.
_LISTED = 10


@dataclass(frozen=True)
class Target:
    """The model that answers."""

    row: ProjectBackend
    spec: ModelSpec
    label: str

    @property
    def config(self) -> LabelConfig:
        """The project's label config."""
        return parse_label_config(self.spec.label_config)


def recent_target(user: Any, query: Mapping[str, str], project_id: int | None = None) -> Target:
    """`target_of`, at most a second old; changes made in this process are seen at once."""
    named = tuple(query.get(name, '') for name in ('project', 'backend', 'version'))
    key = (user.pk, getattr(user, 'active_organization_id', None), project_id, named)
    return _recent.get(key, lambda: target_of(user, query, project_id))


def target_of(user: Any, query: Mapping[str, str], project_id: int | None = None) -> Target:
    """Find the model that a request names, or the only one that it can mean.

    Args:
        user: The caller; anonymous ones get this far only when the server's setting lets them.
        query: ``project``, ``backend`` and ``version``, each optional.
        project_id: From the address; stands above the query.

    Raises:
        ServiceError: Nothing or several fit, the model must be trained first, or the caller may not use it.
    """
    if project_id is None and query.get('project'):
        project_id = _number(query['project'], 'project')
    rows = _rows(user, project_id, query.get('backend', ''))
    if len(rows) > 1:
        raise AmbiguousTargetError(
            f'Several backends could answer: {_listed(rows)}. Choose with ?project= or ?backend=.'
        )
    row = rows[0]
    wanted = query.get('version', '')
    if not wanted and not host.needs_training(row):
        row = host.at_hand(row, row.project.label_config)
    version = _version(row, wanted)
    if version is None and registry.get(row.backend).backend_class().needs_training:
        raise NotTrainedError(f'{row.backend} has to be trained on project {row.project_id} before it can predict.')
    spec = host.spec_for(row, row.project.label_config, version)
    return Target(row, spec, version_label(row.backend, version.number if version else None))


def _rows(user: Any, project_id: int | None, backend: str) -> list[ProjectBackend]:
    found = gate.active_everywhere(user.active_organization_id if user.is_authenticated else None, project_id)
    fitting = [row for row in found if not backend or row.backend == backend]
    if not fitting:
        raise _nothing(user, project_id, backend, found)
    if user.is_authenticated and not all(row.project.has_permission(user) for row in fitting):
        raise ForbiddenError('You have no permission on this project.')
    return fitting


def _nothing(user: Any, project_id: int | None, backend: str, found: list[ProjectBackend]) -> ServiceError:
    from label_studio.ml_host.upstream import Project

    where = ''
    if project_id is not None:
        projects = Project.objects.filter(pk=project_id)
        if user.is_authenticated:
            projects = projects.filter(organization_id=user.active_organization_id)
        if not projects.exists():
            return NoSuchTargetError(f'There is no project {project_id}.')
        where = f' on project {project_id}'
    if backend and found:
        return NoSuchTargetError(f'Backend "{backend}" is not enabled{where}; enabled are: {_listed(found)}.')
    return NoSuchTargetError(f"No ML backend is enabled{where}; enable one on the project's ML backends page.")


def _version(row: ProjectBackend, wanted: str) -> ModelVersion | None:
    """The version asked for by number or name, else the one in service; None for the untrained model."""
    if not wanted:
        return row.in_service
    number = wanted.removeprefix(f'{row.backend}-v')
    if number == '0':
        return None
    versions = ModelVersion.objects.filter(project_id=row.project_id, backend=row.backend)
    version = versions.filter(number=int(number)).first() if number.isdecimal() and len(number) < 9 else None
    if version is None:
        known = ', '.join(str(item) for item in versions.values_list('number', flat=True)[:_LISTED]) or 'none yet'
        raise NoSuchTargetError(
            f'{row.backend} has no version "{wanted}" on project {row.project_id}; its versions are: {known}.'
        )
    return version


def _number(value: str, name: str) -> int:
    if not value.isdecimal() or len(value) > 18:
        raise ServiceError(f'"{name}" must be a whole number, not "{value[:40]}".')
    return int(value)


def _listed(rows: list[ProjectBackend]) -> str:
    names = [f'{row.backend} on project {row.project_id}' for row in rows[:_LISTED]]
    return ', '.join(names) + (f' and {len(rows) - _LISTED} more' if len(rows) > _LISTED else '')
