"""How a plugin stands in a project: gathered once, shown by the page and by the API."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from label_studio.ml_host.enabling import misfit, services
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import ProjectBackend, TrainingRun
from label_studio.ml_host.sampling.services import sampling_state
from ml_plugins.backend import MLBackend
from ml_plugins.discovery import Candidate
from ml_plugins.failures import Stage, describe, record_failure
from ml_plugins.params import Param
from ml_plugins.registry import Plugin, registry

# The same import error is met at every look at the page; it is recorded once.
_reported: dict[str, str] = {}


@dataclass(frozen=True)
class BackendState:
    """One plugin as seen from one project.

    Attributes:
        row: Its row, or None when it was never switched on.
        installed: False for a row whose package was uninstalled.
        import_error: Why the backend class cannot be imported; empty when it can.
        why_not: Why the plugin cannot be enabled on this project; empty when it can.
        switched_off: Why the server switched it off by itself; empty when it is on or a person did it.
        params: Parameters in force, defaults filled in.
    """

    plugin: Plugin
    project: Any
    row: ProjectBackend | None = None
    installed: bool = True
    import_error: str = ''
    why_not: str = ''
    switched_off: str = ''
    can_train: bool = False
    param_list: tuple[Param, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    circuit_breaker: str | None = None
    latest_run: TrainingRun | None = None

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.plugin.name

    @property
    def title(self) -> str:
        """The plugin's name for people."""
        return self.plugin.title

    @property
    def description(self) -> str:
        """The sentence that the plugin's author wrote."""
        return self.plugin.description

    @property
    def package(self) -> str:
        """The pip package it came with."""
        return self.plugin.candidate.distribution

    @property
    def package_version(self) -> str:
        """That package's version."""
        return self.plugin.candidate.version

    @property
    def usable(self) -> bool:
        """Whether it loaded and its backend class can be imported."""
        return self.plugin.is_usable and not self.import_error

    @property
    def enabled(self) -> bool:
        """Whether it is switched on for the project."""
        return self.row is not None and self.row.enabled

    @property
    def prelabel_new(self) -> bool:
        """Whether tasks that are imported or synced are pre-labeled by themselves."""
        return self.row is not None and self.row.enabled and self.row.prelabel_new

    @property
    def learning(self) -> dict[str, Any]:
        """Whether it learns while people label, and how."""
        stored = self.row.learning if self.row is not None else {}
        return {'on': self.enabled and self.row.learns, **asdict(LearningSettings.of(stored))}

    @property
    def sampling(self) -> dict[str, Any]:
        """Whether it chooses what is labeled next, and how."""
        stored = sampling_state(self.project.pk, self.name)
        return {**stored, 'on': self.enabled and stored['on']}

    @property
    def version_in_service(self) -> int | None:
        """Number of the version that predictions come from."""
        version = self.row.in_service if self.row is not None else None
        return version.number if version else None


def states_of(project) -> list[BackendState]:
    """Every installed plugin, and every enabled one whose package is gone, by name."""
    rows = {row.backend: row for row in _rows(project)}
    gone = sorted(name for name, row in rows.items() if row.enabled and name not in registry)
    plugins = [(plugin, True) for plugin in registry.all()] + [(Plugin(Candidate(name, '')), False) for name in gone]
    return [_state(project, plugin, rows.get(plugin.name), installed) for plugin, installed in plugins]


def state_of(project, name: str) -> BackendState:
    """One plugin in a project.

    Raises:
        PluginNotFoundError: There is none of that name, installed or left behind.
    """
    row = _rows(project).filter(backend=name).first()
    if row is not None and name not in registry:
        return _state(project, Plugin(Candidate(name, '')), row, installed=False)
    return _state(project, registry.get(name), row, installed=True)


def _rows(project):
    return ProjectBackend.objects.filter(project=project).select_related('in_service')


def _state(project, plugin: Plugin, row: ProjectBackend | None, installed: bool) -> BackendState:
    latest = TrainingRun.objects.filter(project=project, backend=plugin.name).select_related('version').first()
    if not plugin.is_usable:
        return BackendState(plugin, project, row, installed, latest_run=latest)
    backend_class, error = _backend_class(plugin, project.pk)
    if backend_class is None:
        return BackendState(plugin, project, row, installed, import_error=error, latest_run=latest)
    saved = row.params if row is not None else {}
    enabled = row is not None and row.enabled
    return BackendState(
        plugin,
        project,
        row,
        why_not=services.why_not(project, plugin),
        switched_off=misfit.reason_of(row),
        can_train=backend_class.can_fit(),
        param_list=tuple(backend_class.params),
        params={param.name: saved.get(param.name, param.default) for param in backend_class.params},
        circuit_breaker=_breaker(project.pk, plugin.name) if enabled else None,
        latest_run=latest,
    )


def _backend_class(plugin: Plugin, project_id: int) -> tuple[type[MLBackend] | None, str]:
    try:
        found = plugin.backend_class()
    except (Exception, SystemExit) as error:
        text = describe(error)
        if _reported.get(plugin.name) != text:
            _reported[plugin.name] = text
            record_failure(plugin.name, Stage.CHECK, error, project_id)
        return None, text
    _reported.pop(plugin.name, None)
    return found, ''


def _breaker(project_id: int, name: str) -> str | None:
    from label_studio.ml_host.serving import host

    return host.breaker_state(project_id, name)
