"""Models inside the labeling server: the contract between plugins and their host.

What stands in ``__all__`` is the public API, versioned by ``API_VERSION``; everything else may change.
Names are resolved on first use, so that importing this package loads neither Django's apps nor a model library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_plugins.backend import BackendContext, Dataset, MLBackend, Run, Serves
    from ml_plugins.config import API_VERSION, MLBackendConfig
    from ml_plugins.exceptions import (
        LabelConfigError,
        MLPluginError,
        ParameterError,
        PredictionError,
        TaskDataError,
        TrainingCancelledError,
        TrainingError,
    )
    from ml_plugins.label_config import Control, LabelConfig, parse_label_config
    from ml_plugins.notices import notice
    from ml_plugins.params import Param
    from ml_plugins.types import (
        Annotation,
        DatasetChanges,
        Example,
        Interaction,
        Prediction,
        Region,
        Task,
        TaskFailure,
        VersionFiles,
    )

_HOMES = {
    'backend': ('BackendContext', 'Dataset', 'MLBackend', 'Run', 'Serves'),
    'config': ('API_VERSION', 'MLBackendConfig'),
    'exceptions': (
        'LabelConfigError',
        'MLPluginError',
        'ParameterError',
        'PredictionError',
        'TaskDataError',
        'TrainingCancelledError',
        'TrainingError',
    ),
    'label_config': ('Control', 'LabelConfig', 'parse_label_config'),
    'notices': ('notice',),
    'params': ('Param',),
    'types': (
        'Annotation',
        'DatasetChanges',
        'Example',
        'Interaction',
        'Prediction',
        'Region',
        'Task',
        'TaskFailure',
        'VersionFiles',
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    'API_VERSION',
    'Annotation',
    'BackendContext',
    'Control',
    'Dataset',
    'DatasetChanges',
    'Example',
    'Interaction',
    'LabelConfig',
    'LabelConfigError',
    'MLBackend',
    'MLBackendConfig',
    'MLPluginError',
    'Param',
    'ParameterError',
    'Prediction',
    'PredictionError',
    'Region',
    'Run',
    'Serves',
    'Task',
    'TaskDataError',
    'TaskFailure',
    'TrainingCancelledError',
    'TrainingError',
    'VersionFiles',
    'notice',
    'parse_label_config',
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{home}'), name)
