"""Plugins defined inside a test: a backend class under a name in the registry, without a package."""

from types import SimpleNamespace

from ml_plugins import MLBackend, Prediction, Serves
from ml_plugins.discovery import Candidate
from ml_plugins.registry import Plugin, registry


class InlinePlugin(Plugin):
    """A usable plugin whose backend class is given directly."""

    def __init__(self, name: str, backend: type[MLBackend]) -> None:
        super().__init__(Candidate(name, f'inline:{backend.__name__}', 'inline', '1.0'))
        self._backend = backend

    is_usable = True
    load_failures = ()

    @property
    def title(self) -> str:
        return self.name

    @property
    def config(self):
        return SimpleNamespace(
            description='A plugin of a test', url_conf='', panel_template='', verbose_name=self.name, label=self.name
        )

    def backend_class(self) -> type[MLBackend]:
        return self._backend


def register(name: str, backend: type[MLBackend]) -> InlinePlugin:
    """Put a backend class into the registry; the fixture `inline_plugins` takes it out again."""
    plugin = InlinePlugin(name, backend)
    registry._plugins[name] = plugin
    return plugin


class ConstantBackend(MLBackend):
    """Says "cat" to everything and counts how often it was asked."""

    serves = (Serves('Choices', 'Image'),)
    calls: list[int] = []
    interactions: list = []
    seen: list = []

    def predict(self, tasks, interaction=None):
        type(self).calls.append(len(tasks))
        type(self).seen.extend(tasks)
        if interaction is not None:
            type(self).interactions.append(interaction)
        control = self.label_config.control('Choices', 'Image')
        return [Prediction([control.choices('cat', score=0.9)], score=0.9) for _ in tasks]
