"""The share of tasks that are drawn at random, and how likely each was."""

import numpy as np
import pytest

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import Labeled, choose, strategy
from ml_plugins.testing import pool_of


def picked(name='margin', share=0.05, size=10, count=40, seed=0):
    return choose(strategy(name), pool_of(count), Labeled(), size, np.random.default_rng(seed), share)


def test_without_a_share_nothing_is_random():
    found = picked(share=0.0)
    assert not found.explored.any()
    assert found.propensities.tolist() == [1.0] * 10
    assert (
        found.indices.tolist()
        == strategy('margin').select(pool_of(40), Labeled(), 10, np.random.default_rng(99)).tolist()
    )


def test_the_share_is_kept_and_its_propensity_told():
    found = [picked(share=0.2, seed=seed) for seed in range(200)]
    assert np.mean([item.explored.mean() for item in found]) == pytest.approx(0.2, abs=0.03)
    for item in found:
        for place in range(10):
            expected = 0.2 / (40 - place) if item.explored[place] else 0.8
            assert item.propensities[place] == pytest.approx(expected)
        assert len(set(item.indices.tolist())) == 10


def test_an_explored_task_is_any_of_those_that_are_left():
    found = [picked(share=1.0, size=1, count=8, seed=seed) for seed in range(1600)]
    counts = np.bincount([int(item.indices[0]) for item in found], minlength=8)
    # Chi-squared with 7 degrees of freedom stays below 24.3 in 999 of 1,000 cases.
    assert ((counts - 200) ** 2 / 200).sum() < 24.3


def test_inverse_propensities_estimate_the_whole_pool():
    pool = pool_of(40)
    values = np.arange(40.0)
    estimates = []
    for seed in range(1500):
        found = choose(strategy('margin'), pool, Labeled(), 1, np.random.default_rng(seed), 0.5)
        estimates.append(float((values[found.indices] / found.propensities)[found.explored].sum()))
    # The standard error of the mean is about 26.
    assert np.mean(estimates) == pytest.approx(values.sum(), abs=100)


def test_random_serving_is_all_exploration():
    found = picked('random', share=0.05)
    assert found.explored.all()
    assert found.propensities == pytest.approx([1 / (40 - place) for place in range(10)])


def test_the_same_seed_gives_the_same_picks():
    first, second = picked(share=0.5, seed=7), picked(share=0.5, seed=7)
    assert first.indices.tolist() == second.indices.tolist()
    assert first.explored.tolist() == second.explored.tolist()


@pytest.mark.parametrize('share', [-0.1, 1.1, float('nan')])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(StrategyError, match='exploration share'):
        picked(share=share)
