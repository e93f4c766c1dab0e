"""The AppConfig that makes a Python package a plugin."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from functools import wraps
from importlib import import_module
from typing import Any, ClassVar

from django.apps import AppConfig, apps

from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.failures import Stage, guarded
from ml_plugins.requirements import missing_packages

logger = logging.getLogger(__name__)

API_VERSION = '1.0'


class MLBackendConfig(AppConfig):
    """Subclass this in the plugin's ``apps.py`` and point an entry point at it.

    Attributes:
        backend: Where the backend class is, as ``"package.module:Class"``; imported late, when a model is needed.
        description: One sentence for the page.
        requires_api: Versions of this contract that the plugin works with, as a version specifier.
        requires: Packages that it needs and that its own package does not bring, as pip takes them, e.g.
            ``spacy>=3.7``. While one of them is missing the plugin is listed with the command that installs it, and
            not used.
        extra: The extra of its own package that brings them, e.g. ``ner`` for ``label-studio[ner]``.
        url_conf: Dotted path of a URLconf, mounted at ``/plugins/<name>/``; empty for none.
        panel_template: A template shown on the ML backends page below the backend's row; empty for none.
        plugin_name: The entry point's name; set by the registry.
    """

    backend: ClassVar[str] = ''
    description: ClassVar[str] = ''
    requires_api: ClassVar[str] = '>=1.0,<2'
    requires: ClassVar[Sequence[str]] = ()
    extra: ClassVar[str] = ''
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
                if cls.missing():
                    return
                with guarded(self.plugin_name or self.name, Stage.READY):
                    own_ready(self)

            cls.ready = ready

    @classmethod
    def missing(cls, distribution: str = '') -> str:
        """What the plugin needs and has not, as a sentence that says what to do; an empty string when all is there.

        Override it for what is not a package, e.g. a key in the environment. It is asked when a process starts and must
        not import anything heavy.

        Args:
            distribution: The pip package that the plugin came with, for the command.
        """
        return missing_packages(cls.requires, f'{distribution}[{cls.extra}]' if distribution and cls.extra else '')

    def import_models(self) -> None:
        """Import the plugin's models; when that fails the plugin is left without models and recorded."""
        done = False
        # Models that import a package which is missing are no failure: the plugin waits for it.
        waiting = contextlib.suppress(ImportError) if type(self).missing() else contextlib.nullcontext()
        with guarded(self.plugin_name or self.name, Stage.MODELS), waiting:
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
