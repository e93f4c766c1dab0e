"""The AppConfig that makes a Python package a plugin."""

from __future__ import annotations

import logging
from functools import wraps
from importlib import import_module
from typing import Any, ClassVar

from django.apps import AppConfig, apps

from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.failures import Stage, guarded

logger = logging.getLogger(__name__)

API_VERSION = '1.0'


class MLBackendConfig(AppConfig):
    """Subclass this in the plugin's ``apps.py`` and point an entry point at it.

    Attributes:
        backend: Where the backend class is, as ``"package.module:Class"``; imported late, when a model is needed.
        description: One sentence for the page.
        requires_api: Versions of this contract that the plugin works with, as a version specifier.
        url_conf: Dotted path of a URLconf, mounted at ``/plugins/<name>/``; empty for none.
        panel_template: A template shown on the ML backends page below the backend's row; empty for none.
        plugin_name: The entry point's name; set by the registry.
    """

    backend: ClassVar[str] = ''
    description: ClassVar[str] = ''
    requires_api: ClassVar[str] = '>=1.0,<2'
    url_conf: ClassVar[str] = ''
    panel_template: ClassVar[str] = ''
    plugin_name: ClassVar[str] = ''
    default_auto_field = 'django.db.models.BigAutoField'

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Guard the author's own ``ready`` so that an error in it leaves the server running."""
        super().__init_subclass__(**kwargs)
        own_ready = cls.__dict__.get('ready')
        if own_ready is not None:

            @wraps(own_ready)
            def ready(self: MLBackendConfig) -> None:
                with guarded(self.plugin_name or self.name, Stage.READY):
                    own_ready(self)

            cls.ready = ready

    def import_models(self) -> None:
        """Import the plugin's models; when that fails the plugin is left without models and recorded."""
        done = False
        with guarded(self.plugin_name or self.name, Stage.MODELS):
            super().import_models()
            done = True
        if not done:
            # Half of the models may be registered; Django must see none of them.
            apps.all_models[self.label].clear()
            self.models = apps.all_models[self.label]
            self.models_module = None

    def backend_class(self) -> type[MLBackend]:
        """Import and return the backend class.

        Raises:
            PluginBrokenError: ``backend`` is not set, or does not name a subclass of `MLBackend`.
        """
        module_name, _, attribute = self.backend.partition(':')
        if not module_name or not attribute:
            raise PluginBrokenError(
                f'{type(self).__qualname__}.backend is {self.backend!r}; it must be "package.module:Class"'
            )
        found = getattr(import_module(module_name), attribute, None)
        if not (isinstance(found, type) and issubclass(found, MLBackend)):
            raise PluginBrokenError(f'{self.backend} is not a subclass of ml_plugins.MLBackend')
        return found
