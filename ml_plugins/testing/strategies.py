"""The contract of query strategies as tests: subclass `QueryStrategyContract` in a plugin's tests and run pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.exploring import checked_batch, checked_scores, choose
from ml_plugins.strategies.pool import Labeled, Needs, Pool

_CLASSES = 4
_WIDTH = 8


def pool_of(count: int, seed: int = 0, classes: int = _CLASSES) -> Pool:
    """A pool that has everything, with as many tasks as asked for."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(classes), count).astype(np.float32)
    return Pool(
        np.arange(100, 100 + count),
        {'label': rows},
        rng.normal(size=(count, _WIDTH)).astype(np.float32),
        [{'label': rng.dirichlet(np.ones(classes), count)} for _ in range(3)],
        [np.log(rng.uniform(0.1, 1.0, rng.integers(1, 9))) for _ in range(count)],
        [rng.uniform(size=rng.integers(0, 5)) for _ in range(count)],
        rng.integers(0, 5, count),
    )


def labeled_of(count: int, seed: int = 1, classes: int = _CLASSES) -> Labeled:
    """Labeled tasks with embeddings; as many classes as there are tasks for."""
    rng = np.random.default_rng(seed)
    answers = [f'label {number % classes}' for number in range(count)]
    return Labeled(np.arange(count), {'label': answers}, rng.normal(size=(count, _WIDTH)).astype(np.float32))


class QueryStrategyContract:
    """Tests that every strategy passes; a subclass names its own.

    Attributes:
        strategy_class: The strategy under test.
        values: Values of parameters that differ from the defaults.
    """

    strategy_class: ClassVar[type[QueryStrategy]]
    values: ClassVar[Mapping[str, Any]] = {}

    def strategy(self) -> QueryStrategy:
        """An instance of the strategy under test."""
        return self.strategy_class(**self.values)

    def test_it_can_be_shown_to_people(self):
        """A name, a title, and no complaint when everything is there."""
        assert self.strategy_class.name.isidentifier()
        assert self.strategy_class.title
        strategy = self.strategy()
        assert strategy.why_not(pool_of(1).available) == ''
        assert strategy.explain(pool_of(5), labeled_of(5))

    def test_what_it_needs_is_named(self):
        """With nothing there, it either works or says what is missing."""
        strategy = self.strategy()
        pool = Pool(np.arange(5))
        if strategy.why_not(Needs()):
            with pytest.raises(StrategyError):
                choose(strategy, pool, Labeled(), 2, np.random.default_rng(0))
        else:
            assert len(choose(strategy, pool, Labeled(), 2, np.random.default_rng(0))) == 2

    @pytest.mark.parametrize('labels', [0, 1, 3, 60])
    def test_scores_are_finite_numbers(self, labels):
        """One for each task, whatever is labeled."""
        scores = checked_scores(self.strategy(), pool_of(40), labeled_of(labels), np.random.default_rng(0))
        assert scores.shape == (40,)

    @pytest.mark.parametrize('count', [1, 2, 7, 40])
    @pytest.mark.parametrize('size', [0, 1, 5, 40, 100])
    def test_a_batch_has_different_tasks(self, count, size):
        """As many as are wanted, or all."""
        batch = checked_batch(self.strategy(), pool_of(count), labeled_of(12), size, np.random.default_rng(0))
        assert len(batch) == min(count, size)

    def test_the_same_seed_gives_the_same_batch(self):
        """All chance comes from the generator that it is given."""
        first, second = (
            checked_batch(self.strategy(), pool_of(40), labeled_of(12), 10, np.random.default_rng(3)) for _ in range(2)
        )
        assert first.tolist() == second.tolist()

    def test_equal_tasks_do_no_harm(self):
        """All tasks are one and the same, or differ in nothing that counts."""
        one = pool_of(1)
        pool = one.only(np.zeros(30, dtype=np.int64))
        assert len(checked_scores(self.strategy(), pool, labeled_of(12), np.random.default_rng(0))) == 30
        batch = checked_batch(self.strategy(), pool, labeled_of(12), 10, np.random.default_rng(0))
        assert len(set(batch.tolist())) == 10

    def test_one_class_so_far_does_no_harm(self):
        """A model that knows one class is sure of everything."""
        pool = pool_of(30)
        sure = np.tile(np.eye(_CLASSES)[0], (30, 1))
        pool = Pool(
            pool.task_ids, {'label': sure}, pool.embeddings, [{'label': sure}] * 2, pool.sequences, pool.regions
        )
        labeled = labeled_of(12, classes=1)
        assert len(checked_scores(self.strategy(), pool, labeled, np.random.default_rng(0))) == 30
        assert len(checked_batch(self.strategy(), pool, labeled, 10, np.random.default_rng(0))) == 10
