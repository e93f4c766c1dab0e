"""Every bundled strategy against the contract, and what the contract refuses."""

import numpy as np
import pytest

import ml_plugins.strategies
from ml_plugins.exceptions import ParameterError, StrategyError
from ml_plugins.strategies import Labeled, Needs, Pool, QueryStrategy, choose, strategy_classes
from ml_plugins.strategies.exploring import checked_batch, checked_scores
from ml_plugins.testing import QueryStrategyContract, labeled_of, pool_of

WAYS = [
    *((name, {}) for name in strategy_classes()),
    ('margin', {'batch': 'diverse'}),
    ('entropy', {'batch': 'power'}),
    ('mnlp', {'rule': 'least', 'batch': 'best'}),
    ('committee', {'rule': 'consensus'}),
    ('region_uncertainty', {'aggregate': 'max', 'measure': 'margin'}),
    ('region_uncertainty', {'aggregate': 'mean'}),
    ('cluster_margin', {'given_clusters': True}),
    ('power', {'base': 'bald', 'beta': 0.0}),
]


@pytest.mark.parametrize('way', WAYS, ids=lambda way: '-'.join([way[0], *map(str, way[1].values())]))
class TestBundled(QueryStrategyContract):
    @pytest.fixture(autouse=True)
    def _take(self, way):
        self.strategy_class, self.values = strategy_classes()[way[0]], way[1]


class Broken(QueryStrategy):
    name = 'broken'
    title = 'Broken'

    def __init__(self, scores=None, rows=None):
        super().__init__()
        self.scores, self.rows = scores, rows

    def score(self, pool, labeled, rng):
        return self.scores

    def select(self, pool, labeled, size, rng, scores=None):
        return self.rows


@pytest.mark.parametrize(
    ('scores', 'message'),
    [
        ([1.0, np.nan, np.inf], 'returned nan for task 101 and 1 more'),
        ([1.0, 2.0], r'shape \(2,\) for 3 tasks'),
        ([[1.0], [2.0], [3.0]], r'shape \(3, 1\)'),
        ('nonsense', 'returned str in place of scores'),
        ([1.0, None, {}], 'returned list in place of scores'),
    ],
)
def test_scores_that_are_none_are_refused(scores, message):
    with pytest.raises(StrategyError, match=message):
        checked_scores(Broken(scores=scores), pool_of(3), Labeled(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([0, 0], '1 different rows, and 2 are wanted'),
        ([0], '1 different rows, and 2 are wanted'),
        ([0, 3], 'row 3 of a pool with 3 tasks'),
        ([-1, 0], 'row -1 of a pool'),
        ([0.0, 1.0], 'array of float64'),
        (None, 'array of object'),
    ],
)
def test_batches_that_are_none_are_refused(rows, message):
    with pytest.raises(StrategyError, match=message):
        checked_batch(Broken(rows=rows), pool_of(3), Labeled(), 2, np.random.default_rng(0))


def test_a_pool_whose_parts_differ_in_length_is_refused():
    with pytest.raises(StrategyError, match='3 tasks, but embeddings has 2 rows'):
        Pool(np.arange(3), embeddings=np.zeros((2, 4)))
    with pytest.raises(StrategyError, match='probabilities of "label" has 4 rows'):
        Pool(np.arange(3), {'label': np.zeros((4, 2))})
    with pytest.raises(StrategyError, match='member 1, control "label"'):
        Pool(np.arange(3), members=[{'label': np.zeros((3, 2))}, {'label': np.zeros((1, 2))}])


def test_part_of_a_pool_keeps_rows_together():
    pool, rows = pool_of(9), np.array([4, 0, 7])
    part = pool.only(rows)
    assert part.task_ids.tolist() == [104, 100, 107]
    assert np.array_equal(part.probabilities['label'], pool.probabilities['label'][rows])
    assert np.array_equal(part.members[2]['label'], pool.members[2]['label'][rows])
    assert np.array_equal(part.embeddings, pool.embeddings[rows])
    assert [len(item) for item in part.sequences] == [len(pool.sequences[row]) for row in rows]
    assert np.array_equal(part.clusters, pool.clusters[rows])
    assert part.available == pool.available


def test_what_is_missing_is_named():
    needs = Needs(probabilities=True, embeddings=True)
    assert needs.why_not(Needs(embeddings=True)) == 'The ML backend gives no class probabilities.'
    assert needs.why_not(Needs()) == 'The ML backend gives no class probabilities and no embeddings.'
    assert needs.why_not(Needs(True, True)) == ''
    with pytest.raises(StrategyError, match=r'strategy "badge": The ML backend gives no embeddings\.'):
        pool = Pool(np.arange(2), {'label': np.full((2, 2), 0.5)})
        choose(strategy_classes()['badge'](), pool, Labeled(), 1, np.random.default_rng(0))


def test_parameters_are_checked():
    with pytest.raises(ParameterError, match='"beta"'):
        strategy_classes()['power'](beta=-1)
    with pytest.raises(ParameterError, match='"base"'):
        strategy_classes()['power'](base='nonsense')


def test_labels_seen_so_far():
    labeled = Labeled(np.arange(3), {'one': ['a', 'b', 'a'], 'many': [['a'], [], ['c', 'd']]})
    assert labeled.classes('one') == {'a', 'b'}
    assert labeled.classes('many') == {'a', 'c', 'd'}
    assert labeled.classes('other') == set()


def test_an_empty_pool_gives_nothing():
    pool = pool_of(3).only(np.empty(0, dtype=np.int64))
    for kind in strategy_classes().values():
        assert len(choose(kind(), pool, labeled_of(3), 5, np.random.default_rng(0))) == 0
        assert len(checked_scores(kind(), pool, labeled_of(3), np.random.default_rng(0))) == 0


def test_a_negative_batch_is_refused():
    with pytest.raises(StrategyError, match='batch of -1 tasks'):
        choose(strategy_classes()['random'](), pool_of(3), Labeled(), -1, np.random.default_rng(0))


def test_every_public_name_resolves():
    room = ml_plugins.strategies
    assert room.__all__ == sorted(room.__all__, key=lambda name: (not name[0].isupper(), name))
    assert set(room._HOME_OF) == set(room.__all__)
    assert all(getattr(room, name).__doc__ for name in room.__all__)
    with pytest.raises(AttributeError, match='no_such_name'):
        room.no_such_name  # noqa: B018
