"""Which model a request is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.label_config import parse_label_config
from ml_plugins.runtime.fence.backend import FencedBackend
from ml_plugins.types import VersionFiles


@dataclass(frozen=True)
class ModelSpec:
    """Everything that makes one resident model.

    Attributes:
        plugin: The plugin's name.
        label_config: The project's label config as XML.
        version_number: Version to load, or None before the first training.
        version_files: Gives that version's files, checked; called once, when the model is loaded.
        backend_class: Gives the plugin's class; called late, since it may import heavy libraries.
    """

    plugin: str
    project_id: int | None
    label_config: str
    backend_class: Callable[[], type[MLBackend]] = field(compare=False)
    version_number: int | None = None
    version_files: Callable[[], VersionFiles] | None = field(default=None, compare=False)
    params: Mapping[str, Any] = field(default_factory=dict, compare=False)
    device: str = field(default='auto', compare=False)
    cache_directory: Path | None = field(default=None, compare=False)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal keys share one resident model."""
        params = tuple(sorted((name, repr(value)) for name, value in self.params.items()))
        return (self.plugin, self.project_id, self.version_number, self.label_config, params)

    def load(self, on_made: Callable[[MLBackend], None] | None = None) -> MLBackend:
        """Make the backend and set it up; may take long.

        Args:
            on_made: Called with the backend before it is set up.
        """
        backend = self._make()
        if on_made is not None:
            on_made(backend)
        backend.setup()
        return backend

    def _make(self) -> MLBackend:
        context = BackendContext(
            label_config=parse_label_config(self.label_config),
            params=self.params,
            version=self.version_files() if self.version_files else None,
            device=self.device,
            project_id=self.project_id,
            cache_directory=self.cache_directory,
        )
        kind = self.backend_class()
        if kind.fence == 'thread':
            return kind(context)
        if kind.fence != 'process':
            raise PluginBrokenError(f'{self.plugin}: fence is {kind.fence!r}; it must be "thread" or "process"')
        return FencedBackend(self.plugin, kind, context)
