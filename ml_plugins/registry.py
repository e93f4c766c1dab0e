"""The plugins of this process: loaded ones, broken ones, and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.apps import apps
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ml_plugins.backend import MLBackend
from ml_plugins.config import API_VERSION, MLBackendConfig
from ml_plugins.discovery import Candidate
from ml_plugins.exceptions import PluginBrokenError, PluginNotFoundError, RequirementMissingError
from ml_plugins.failures import LOAD_STAGES, PluginFailure, Stage, failure_log, guarded

NAME = re.compile(r'^[A-Za-z][A-Za-z0-9_-]{0,63}$')


@dataclass
class Plugin:
    """One installed plugin.

    Attributes:
        candidate: What its entry point says.
        config_class: Its AppConfig class, or None when it could not be imported.
        missing: What it needs and has not, as a sentence that says what to do; while there is such, it is not used.
    """

    candidate: Candidate
    config_class: type[MLBackendConfig] | None = None
    missing: str = ''

    @property
    def name(self) -> str:
        """What people type after ``--ml-backend-name``."""
        return self.candidate.name

    @property
    def load_failures(self) -> list[PluginFailure]:
        """Problems of its load stages; with any of them the plugin is not used."""
        return [failure for failure in failure_log.of(self.name) if failure.stage in LOAD_STAGES]

    @property
    def is_usable(self) -> bool:
        """Whether it loaded without a problem and has what it needs."""
        return self.config_class is not None and not self.missing and not self.load_failures

    @property
    def app_path(self) -> str:
        """Its entry in ``INSTALLED_APPS``."""
        return getattr(self.config_class, 'installed_as', '') or self.candidate.target.replace(':', '.')

    @property
    def config(self) -> MLBackendConfig:
        """Its AppConfig instance. Raises `PluginBrokenError` when it did not load."""
        for config in apps.get_app_configs():
            if self.config_class is not None and type(config) is self.config_class:
                return config
        raise PluginBrokenError(self._why_broken())

    @property
    def title(self) -> str:
        """Its name for people."""
        if self.is_waiting:
            return str(getattr(self.config_class, 'verbose_name', self.name))
        return str(self.config.verbose_name) if self.is_usable else self.name

    @property
    def description(self) -> str:
        """The sentence that its author wrote; empty for a plugin that did not load."""
        if self.is_waiting:
            return str(self.config_class.description)
        return str(self.config.description) if self.is_usable else ''

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of it is broken, and only something that it needs is missing."""
        return bool(self.missing) and self.config_class is not None and not self.load_failures

    def backend_class(self) -> type[MLBackend]:
        """The backend class.

        Raises:
            RequirementMissingError: Something that it needs is not there; the message says what to do.
            PluginBrokenError: A load stage failed, or the class cannot be imported.
        """
        if self.is_waiting:
            raise RequirementMissingError(f'Plugin "{self.name}" needs what is not there: {self.missing}')
        if not self.is_usable:
            raise PluginBrokenError(self._why_broken())
        return self.config.backend_class()

    def _why_broken(self) -> str:
        failures = self.load_failures
        reason = f'{failures[0].stage.value}: {failures[0].error}' if failures else 'it is not loaded'
        return f'Plugin "{self.name}" is broken ({reason})'


class Registry:
    """Plugins by name; filled once, when the settings are read."""

    def __init__(self) -> None:
        self._plugins: dict[str, Plugin] = {}

    def load(self, candidates: Iterable[Candidate], taken: Collection[str] = ()) -> list[str]:
        """Import and check each candidate's AppConfig; what fails is recorded and left out.

        Args:
            candidates: From `ml_plugins.discovery.find_candidates`.
            taken: App labels or paths that are in use already.

        Returns:
            Entries for ``INSTALLED_APPS``.
        """
        labels = {path.rpartition('.')[2] for path in taken}
        for candidate in candidates:
            if candidate.name in self._plugins:
                if self._plugins[candidate.name].candidate.target != candidate.target:
                    with guarded(candidate.name, Stage.VALIDATE):
                        raise PluginBrokenError(_twice(self._plugins[candidate.name].candidate, candidate))
                continue
            plugin = Plugin(candidate)
            self._plugins[candidate.name] = plugin
            with guarded(candidate.name, Stage.IMPORT):
                config_class = _import_config(candidate)
                with guarded(candidate.name, Stage.VALIDATE):
                    _validate(candidate, config_class, labels)
                    config_class.plugin_name = candidate.name
                    plugin.missing = config_class.missing(candidate.distribution)
                    plugin.config_class = config_class
                    labels.add(_label(config_class))
        return [plugin.app_path for plugin in self._plugins.values() if plugin.config_class is not None]

    def all(self) -> list[Plugin]:
        """Every installed plugin, broken ones too, by name."""
        return [self._plugins[name] for name in sorted(self._plugins)]

    def usable(self) -> list[Plugin]:
        """Plugins that loaded without a problem."""
        return [plugin for plugin in self.all() if plugin.is_usable]

    def get(self, name: str) -> Plugin:
        """One plugin.

        Raises:
            PluginNotFoundError: There is none of that name; the message lists what there is.
        """
        if name not in self._plugins:
            listed = ', '.join(sorted(self._plugins)) or 'none'
            raise PluginNotFoundError(f'There is no ML backend "{name}". Installed: {listed}')
        return self._plugins[name]

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def clear(self) -> None:
        """Forget everything, for tests."""
        self._plugins.clear()


registry = Registry()


def _import_config(candidate: Candidate) -> type[MLBackendConfig]:
    from ml_plugins.sdk.plugin import config_of, resolve
    from ml_plugins.sdk.sources import SdkSource

    found = resolve(candidate)
    if isinstance(found, SdkSource):
        return config_of(found)
    if not (isinstance(found, type) and issubclass(found, MLBackendConfig)):
        raise PluginBrokenError(
            f'the entry point "{candidate.name} = {candidate.target}" must name a subclass of '
            'ml_plugins.MLBackendConfig or of LabelStudioMLBase'
        )
    return found


def _label(config_class: type[MLBackendConfig]) -> str:
    return getattr(config_class, 'label', None) or config_class.name.rpartition('.')[2]


def _validate(candidate: Candidate, config_class: type[MLBackendConfig], labels: Collection[str]) -> None:
    if not NAME.match(candidate.name):
        raise PluginBrokenError(
            f'the entry point name "{candidate.name}" may hold letters, digits, "_" and "-", and starts with a letter'
        )
    if not isinstance(getattr(config_class, 'name', None), str):
        raise PluginBrokenError(f'{candidate.target} has no attribute "name" with its package')
    if _label(config_class) in labels:
        raise PluginBrokenError(
            f'the app label "{_label(config_class)}" of {candidate.target} is taken; set another "label" on it'
        )
    try:
        accepted = SpecifierSet(config_class.requires_api)
    except InvalidSpecifier:
        raise PluginBrokenError(f'requires_api {config_class.requires_api!r} is not a version specifier') from None
    if API_VERSION not in accepted:
        raise PluginBrokenError(
            f'it requires the plugin API {config_class.requires_api}, and this server has {API_VERSION}; '
            'install a version of the plugin that fits'
        )


def _twice(first: Candidate, second: Candidate) -> str:
    return (
        f'two packages register "{first.name}": {first.distribution or first.target} is used, '
        f'{second.distribution or second.target} is not; uninstall one'
    )
