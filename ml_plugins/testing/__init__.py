"""Kit for authors: prove a backend against the contract without a server, and stand-ins to do it with."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_plugins.testing.checks import check_backend
    from ml_plugins.testing.contract import BackendContract
    from ml_plugins.testing.fakes import MemoryDataset, MemoryFiles, MemoryRun, example_of
    from ml_plugins.testing.strategies import QueryStrategyContract, labeled_of, pool_of

# The contract needs pytest, which a server need not have; so each name is resolved on first use.
_HOME_OF = {
    'BackendContract': 'contract',
    'MemoryDataset': 'fakes',
    'MemoryFiles': 'fakes',
    'MemoryRun': 'fakes',
    'QueryStrategyContract': 'strategies',
    'check_backend': 'checks',
    'example_of': 'fakes',
    'labeled_of': 'strategies',
    'pool_of': 'strategies',
}

__all__ = [
    'BackendContract',
    'MemoryDataset',
    'MemoryFiles',
    'MemoryRun',
    'QueryStrategyContract',
    'check_backend',
    'example_of',
    'labeled_of',
    'pool_of',
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{home}'), name)
