"""Choosing what to label next: the contract for strategies and stopping criteria, and those that are bundled.

Knows numpy and scikit-learn, neither tables nor pages. What stands in ``__all__`` is public API. Names are resolved on
first use, and scikit-learn is imported by the functions that need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_plugins.strategies.arms import Served
    from ml_plugins.strategies.contract import QueryStrategy
    from ml_plugins.strategies.curves import ArmsReport, compare_arms
    from ml_plugins.strategies.exploring import choose
    from ml_plugins.strategies.gain import GainForecast, forecast_gain
    from ml_plugins.strategies.label_errors import SuspectedError, cross_validated, suspected_errors
    from ml_plugins.strategies.pool import Labeled, Needs, Picked, Pool
    from ml_plugins.strategies.registry import (
        criterion,
        criterion_classes,
        offers,
        strategy,
        strategy_classes,
    )
    from ml_plugins.strategies.replay import ReplayReport, run_replay
    from ml_plugins.strategies.stopping import Advice, History, Round, StoppingCriterion
    from ml_plugins.strategies.walk import Arm, ReplayData

_HOMES = {
    'arms': ('Served',),
    'contract': ('QueryStrategy',),
    'curves': ('ArmsReport', 'compare_arms'),
    'exploring': ('choose',),
    'gain': ('GainForecast', 'forecast_gain'),
    'label_errors': ('SuspectedError', 'cross_validated', 'suspected_errors'),
    'pool': ('Labeled', 'Needs', 'Picked', 'Pool'),
    'registry': ('criterion', 'criterion_classes', 'offers', 'strategy', 'strategy_classes'),
    'replay': ('ReplayReport', 'run_replay'),
    'stopping': ('Advice', 'History', 'Round', 'StoppingCriterion'),
    'walk': ('Arm', 'ReplayData'),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    'Advice',
    'Arm',
    'ArmsReport',
    'GainForecast',
    'History',
    'Labeled',
    'Needs',
    'Picked',
    'Pool',
    'QueryStrategy',
    'ReplayData',
    'ReplayReport',
    'Round',
    'Served',
    'StoppingCriterion',
    'SuspectedError',
    'choose',
    'compare_arms',
    'criterion',
    'criterion_classes',
    'cross_validated',
    'forecast_gain',
    'offers',
    'run_replay',
    'strategy',
    'strategy_classes',
    'suspected_errors',
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{home}'), name)
