"""Strategies and stopping criteria by name: the bundled ones, and those of installed packages."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from ml_plugins.discovery import Candidate, find_candidates
from ml_plugins.exceptions import ParameterError, StrategyError
from ml_plugins.failures import Stage, guarded
from ml_plugins.params import Param
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Needs
from ml_plugins.strategies.stopping import StoppingCriterion

STRATEGY_GROUP = 'label_studio.query_strategies'
CRITERION_GROUP = 'label_studio.stopping_criteria'
# Bundled ones need no entry points: they are there even where the metadata of the package is not.
_STRATEGIES = {
    'automatic': 'automatic:Automatic',
    'random': 'uncertainty:RandomStrategy',
    'least_confidence': 'uncertainty:LeastConfidence',
    'entropy': 'uncertainty:Entropy',
    'margin': 'uncertainty:Margin',
    'cluster_margin': 'cluster_margin:ClusterMargin',
    'badge': 'badge:Badge',
    'core_set': 'core_set:CoreSet',
    'typiclust': 'typiclust:TypiClust',
    'bald': 'disagreement:Bald',
    'committee': 'disagreement:Committee',
    'mnlp': 'structured:Mnlp',
    'region_uncertainty': 'structured:RegionUncertainty',
    'power': 'power:Power',
}
_CRITERIA = {
    'prediction_stability': 'criteria:PredictionStability',
    'classification_change': 'criteria:ClassificationChange',
    'overall_uncertainty': 'criteria:OverallUncertainty',
    'marginal_gain': 'criteria:MarginalGain',
    'budget': 'criteria:Budget',
}
# Short enough for the tables that a host keeps names in.
_NAME = re.compile(r'^[a-z][a-z0-9_]{0,39}$')
_Kind = TypeVar('_Kind')


@dataclass(frozen=True)
class Offer:
    """A strategy as a page offers it.

    Attributes:
        why_not: A sentence saying why it cannot work here; empty when it can.
    """

    name: str
    title: str
    help: str
    params: Sequence[Param]
    why_not: str


class _Room(Generic[_Kind]):
    """The classes of one entry-point group; found at first use."""

    def __init__(self, group: str, kind: type[_Kind], word: str, bundled: Mapping[str, str]) -> None:
        self.group, self.kind, self.word, self.bundled = group, kind, word, bundled
        self._classes: dict[str, type[_Kind]] | None = None
        self._lock = threading.Lock()

    def classes(self) -> dict[str, type[_Kind]]:
        with self._lock:
            if self._classes is None:
                self._classes = self._found(find_candidates(group=self.group))
            return dict(self._classes)

    def _found(self, candidates: Collection[Candidate]) -> dict[str, type[_Kind]]:
        home = 'ml_plugins.strategies'
        classes = {name: _imported(f'{home}.{target}') for name, target in self.bundled.items()}
        for candidate in candidates:
            with guarded(self.failure_name(candidate.name), Stage.IMPORT):
                found = _imported(candidate.target)
                with guarded(self.failure_name(candidate.name), Stage.VALIDATE):
                    self._validate(candidate, found, classes)
                    classes[candidate.name] = found
        return classes

    def failure_name(self, name: str) -> str:
        """What failures are recorded under; never the name of a plugin, which would be taken for broken."""
        return f'{self.word.replace(" ", "_")}:{name}'[:64]

    def _validate(self, candidate: Candidate, found: Any, taken: Collection[str]) -> None:
        where = f'the entry point "{candidate.name} = {candidate.target}" of {candidate.distribution or "a package"}'
        if not (isinstance(found, type) and issubclass(found, self.kind)):
            raise StrategyError(f'{where} must name a subclass of ml_plugins.strategies.{self.kind.__name__}')
        if getattr(found, '__abstractmethods__', None):
            raise StrategyError(f'{where} leaves out {", ".join(sorted(found.__abstractmethods__))}')
        if getattr(found, 'name', None) != candidate.name or not _NAME.match(candidate.name):
            raise StrategyError(
                f'{where}: the class has the name {getattr(found, "name", None)!r}; both names must be the same, of at '
                'most 40 small letters, digits and "_"'
            )
        if candidate.name in taken:
            raise StrategyError(f'{where}: there is a {self.word} of that name already; choose another name')
        if not isinstance(getattr(found, 'title', None), str):
            raise StrategyError(f'{where}: the class has no "title" for people')
        found()

    def make(self, name: str, values: Mapping[str, Any] | None) -> _Kind:
        classes = self.classes()
        if name not in classes:
            raise StrategyError(f'there is no {self.word} "{name}"; there are: {", ".join(sorted(classes))}')
        unknown = sorted(set(values or {}) - {param.name for param in classes[name].params})
        if unknown:
            known = ', '.join(param.name for param in classes[name].params) or 'none'
            raise ParameterError(f'unknown parameter "{unknown[0]}"; the {self.word} "{name}" has: {known}')
        return classes[name](**(values or {}))

    def forget(self) -> None:
        with self._lock:
            self._classes = None


strategies_room = _Room(STRATEGY_GROUP, QueryStrategy, 'query strategy', _STRATEGIES)
criteria_room = _Room(CRITERION_GROUP, StoppingCriterion, 'stopping criterion', _CRITERIA)


def strategy_classes() -> dict[str, type[QueryStrategy]]:
    """Every usable strategy by name: bundled ones first. Broken ones are recorded as failures and left out."""
    return strategies_room.classes()


def strategy(name: str, values: Mapping[str, Any] | None = None) -> QueryStrategy:
    """A strategy with values for its parameters.

    Raises:
        StrategyError: There is none of that name; the message lists what there is.
        ParameterError: A value is not allowed.
    """
    return strategies_room.make(name, values)


def criterion_classes() -> dict[str, type[StoppingCriterion]]:
    """Every usable stopping criterion by name. Broken ones are recorded as failures and left out."""
    return criteria_room.classes()


def criterion(name: str, values: Mapping[str, Any] | None = None) -> StoppingCriterion:
    """A stopping criterion with values for its parameters; raises as `strategy` does."""
    return criteria_room.make(name, values)


def offers(available: Needs) -> list[Offer]:
    """All strategies for a page, each with the reason why it cannot work with what there is."""
    found = []
    for name, kind in strategy_classes().items():
        why_not = f'Strategy "{name}" failed; its failure is in the runtime log.'
        with guarded(strategies_room.failure_name(name), Stage.CHECK):
            why_not = kind().why_not(available)
        found.append(Offer(name, kind.title, kind.help, tuple(kind.params), why_not))
    return found


def _imported(target: str) -> Any:
    module_name, _, attribute = target.partition(':')
    try:
        return getattr(import_module(module_name), attribute)
    except AttributeError:
        raise StrategyError(f'{module_name} has no class "{attribute}"') from None


def forget() -> None:
    """Look for installed packages again, for tests."""
    strategies_room.forget()
    criteria_room.forget()
