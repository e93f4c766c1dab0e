"""A class of the SDK as a plugin: the AppConfig that it does not have."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from ml_plugins.config import MLBackendConfig
from ml_plugins.sdk.building import check_imports
from ml_plugins.sdk.sources import BASE, SdkSource, source_in_folder, source_of_target

if TYPE_CHECKING:
    from ml_plugins.backend import MLBackend
    from ml_plugins.discovery import Candidate

_APPS = 'sdk_apps'


class SdkBackendConfig(MLBackendConfig):
    """Base of the configs that `config_of` makes.

    Attributes:
        installed_as: Its entry in ``INSTALLED_APPS``.
    """

    source: ClassVar[SdkSource]
    installed_as: ClassVar[str] = ''
    # Modules of the backend called `models` or `urls` are no parts of a Django app, so it has another folder.
    path = str(Path(__file__).parent / 'provided')

    def backend_class(self) -> type[MLBackend]:
        """The backend for this class; nothing of it is imported before a model is needed."""
        return _backend_of(self.source)


def resolve(candidate: Candidate) -> Any:
    """What a plugin is: an `SdkSource`, of which nothing is imported where that can be helped, or what is imported.

    Raises:
        PluginBrokenError: It is a folder without a class of the SDK.
        Exception: Whatever the import raises.
    """
    if candidate.folder:
        return source_in_folder(candidate.name, Path(candidate.folder), candidate.target)
    if (source := source_of_target(candidate.name, candidate.target)) is not None:
        return source
    # The base class may be in another module, and that one imports the SDK.
    module, _, attribute = candidate.target.partition(':')
    try:
        found = getattr(import_module(module), attribute, None)
        is_sdk = BASE in {base.__name__ for base in getattr(found, '__mro__', ())}
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] != 'label_studio_ml':
            raise
        found, is_sdk = None, True
    return (source_of_target(candidate.name, candidate.target, trusted=True) or found) if is_sdk else found


def config_of(source: SdkSource) -> type[SdkBackendConfig]:
    """An AppConfig for it, in a module made for it.

    Raises:
        PluginBrokenError: It imports what is not installed.
    """
    check_imports(source)
    label = source.plugin.replace('-', '_')
    module = ModuleType(f'{_APPS}.{label}')
    sys.modules.setdefault(_APPS, ModuleType(_APPS))
    sys.modules[module.__name__] = module
    module.Config = type(
        'Config',
        (SdkBackendConfig,),
        {
            '__module__': module.__name__,
            'name': module.__name__,
            'label': label,
            'verbose_name': source.plugin.replace('_', ' ').replace('-', ' ').capitalize(),
            'description': f'{source.class_name}, written for the ML backend SDK.',
            'source': source,
            'installed_as': f'{module.__name__}.Config',
        },
    )
    return module.Config


@cache
def _backend_of(source: SdkSource) -> type[MLBackend]:
    from ml_plugins.sdk.backend import backend_of

    return backend_of(source)
