"""Strategies and criteria of installed packages; broken ones are recorded and left out."""

import sys
import types

import numpy as np
import pytest

from ml_plugins.discovery import Candidate
from ml_plugins.exceptions import ParameterError, StrategyError
from ml_plugins.failures import failure_log
from ml_plugins.strategies import (
    Advice,
    History,
    Needs,
    QueryStrategy,
    StoppingCriterion,
    criterion,
    criterion_classes,
    offers,
    registry,
    strategy,
    strategy_classes,
)

BUNDLED = [
    *('automatic', 'random', 'least_confidence', 'entropy', 'margin', 'cluster_margin', 'badge', 'core_set'),
    *('typiclust', 'bald', 'committee', 'mnlp', 'region_uncertainty', 'power'),
]


class Mine(QueryStrategy):
    name = 'mine'
    title = 'Mine'

    def score(self, pool, labeled, rng):
        return np.zeros(len(pool))


class Unfinished(QueryStrategy):
    name = 'unfinished'
    title = 'Unfinished'


class Misnamed(Mine):
    name = 'other'


class Taken(Mine):
    name = 'margin'


class Untitled(Mine):
    name = 'untitled'
    title = None


class Failing(Mine):
    name = 'failing'

    def __init__(self, **values):
        raise RuntimeError('no licence')


class Enough(StoppingCriterion):
    name = 'enough'
    title = 'Enough'

    def look(self, history):
        return Advice(True, 'It is enough.')


@pytest.fixture
def installed(monkeypatch):
    """Packages that name classes of this file in their entry points."""
    module = types.ModuleType('made_up_strategies')
    for kind in (Mine, Unfinished, Misnamed, Taken, Untitled, Failing, Enough):
        setattr(module, kind.__name__, kind)
    module.number = 3
    monkeypatch.setitem(sys.modules, 'made_up_strategies', module)

    def install(**targets):
        candidates = [Candidate(name, target, 'made-up', '1.0') for name, target in targets.items()]
        groups = {registry.STRATEGY_GROUP: candidates, registry.CRITERION_GROUP: []}
        monkeypatch.setattr(registry, 'find_candidates', lambda group: groups[group])
        registry.forget()

    yield install
    registry.forget()
    failure_log.clear()


def test_the_bundled_ones_are_there():
    assert list(strategy_classes())[: len(BUNDLED)] == BUNDLED
    assert list(criterion_classes())[:5] == [
        'prediction_stability',
        'classification_change',
        'overall_uncertainty',
        'marginal_gain',
        'budget',
    ]
    for name, kind in {**strategy_classes(), **criterion_classes()}.items():
        assert kind.name == name
        assert kind.title
        assert kind.help


def test_a_package_brings_its_own(installed):
    installed(mine='made_up_strategies:Mine')
    assert isinstance(strategy('mine'), Mine)
    assert list(strategy_classes()) == [*BUNDLED, 'mine']


@pytest.mark.parametrize(
    ('name', 'target', 'message'),
    [
        ('mine', 'no_such_package:Mine', 'no_such_package'),
        ('mine', 'made_up_strategies:Absent', 'has no class "Absent"'),
        ('number', 'made_up_strategies:number', 'must name a subclass of ml_plugins.strategies.QueryStrategy'),
        ('enough', 'made_up_strategies:Enough', 'must name a subclass of ml_plugins.strategies.QueryStrategy'),
        ('unfinished', 'made_up_strategies:Unfinished', 'leaves out score'),
        ('misnamed', 'made_up_strategies:Misnamed', "the class has the name 'other'"),
        ('margin', 'made_up_strategies:Taken', 'there is a query strategy of that name already'),
        ('untitled', 'made_up_strategies:Untitled', 'no "title"'),
        ('failing', 'made_up_strategies:Failing', 'no licence'),
    ],
)
def test_a_broken_one_is_recorded_and_left_out(installed, name, target, message):
    installed(**{name: target})
    assert list(strategy_classes()) == BUNDLED
    (failure,) = failure_log.of(f'query_strategy:{name}')
    assert message in failure.error
    assert len(failure.plugin) <= 64
    # A plugin that happens to have the name is not taken for broken.
    assert failure_log.of(name) == []


def test_criteria_are_found_in_their_own_group(monkeypatch, installed):
    installed()
    found = {registry.CRITERION_GROUP: [Candidate('enough', 'made_up_strategies:Enough')]}
    monkeypatch.setattr(registry, 'find_candidates', lambda group: found.get(group, []))
    assert criterion('enough').look(History()) == Advice(True, 'It is enough.')
    assert 'enough' not in strategy_classes()


def test_unknown_names_and_parameters_are_named():
    with pytest.raises(StrategyError, match='no query strategy "nonsense"; there are: automatic, badge'):
        strategy('nonsense')
    with pytest.raises(StrategyError, match='no stopping criterion "nonsense"; there are: budget'):
        criterion('nonsense')
    with pytest.raises(ParameterError, match='unknown parameter "gamma"; the query strategy "power" has: base, beta'):
        strategy('power', {'gamma': 1})


def test_offers_say_what_cannot_work_and_why():
    found = {offer.name: offer for offer in offers(Needs(probabilities=True))}
    assert found['margin'].why_not == ''
    assert found['automatic'].why_not == ''
    assert found['cluster_margin'].why_not == 'The ML backend gives no embeddings.'
    assert found['bald'].why_not == 'The ML backend gives no answers of several models or dropout passes.'
    assert [param.name for param in found['power'].params] == ['base', 'beta']


def test_a_strategy_that_fails_when_asked_is_still_offered_with_the_reason(installed, monkeypatch):
    monkeypatch.setattr(Mine, 'why_not', lambda self, available: 1 / 0)
    installed(mine='made_up_strategies:Mine')
    found = {offer.name: offer for offer in offers(Needs())}
    assert 'failed' in found['mine'].why_not
    assert 'ZeroDivisionError' in failure_log.of('query_strategy:mine')[0].error
