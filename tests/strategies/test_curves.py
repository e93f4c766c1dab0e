"""Is it worth it: the random share tells a good strategy from a bad one, and does not cry wolf."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import Labeled, Needs, Pool, QueryStrategy, Served, choose, compare_arms, strategy
from ml_plugins.strategies.heads import logistic

DIGITS = load_digits()
FEATURES, ANSWERS = (DIGITS.data / 16).astype(np.float32), DIGITS.target


class Stubborn(QueryStrategy):
    """Serves what the model is surest to be one of two digits: as bad as it gets."""

    name = 'stubborn'
    title = 'Stubborn'
    needs = Needs(probabilities=True)

    def score(self, pool, labeled, rng):
        return pool.probabilities['digit'][:, :2].sum(axis=1)


class Blind(QueryStrategy):
    """Random, but passed off as a strategy."""

    name = 'blind'
    title = 'Blind'

    def score(self, pool, labeled, rng):
        return rng.random(len(pool))


def served_by(kind, labels=240, share=0.25, seed=0):
    """A project that is labeled in batches of 10, the first one by TypiClust or at random."""
    rng, order, explored, propensities, predict = np.random.default_rng(seed), [], [], [], None
    while len(order) < labels:
        left = np.setdiff1d(np.arange(len(ANSWERS)), order)
        probabilities = None if predict is None else {'digit': predict(FEATURES[left])}
        pool = Pool(left, probabilities, FEATURES[left])
        labeled = Labeled(np.array(order), {'digit': [int(ANSWERS[row]) for row in order]}, FEATURES[order])
        taken = kind if not kind.why_not(pool.available) else Blind()
        picked = choose(taken, pool, labeled, 10, rng, share)
        order += left[picked.indices].tolist()
        explored += picked.explored.tolist()
        propensities += picked.propensities.tolist()
        predict = logistic(FEATURES[order], ANSWERS[order], 10)
    return Served(FEATURES[order], ANSWERS[order], np.array(explored), np.array(propensities))


@pytest.fixture(scope='module')
def good():
    return compare_arms(served_by(strategy('automatic')), orders=3)


@pytest.fixture(scope='module')
def bad():
    return compare_arms(served_by(Stubborn(), share=0.3), orders=3)


def test_a_good_strategy_saves_labels(good):
    assert not good.worse
    assert good.p_worse > 0.5
    assert good.saved > 0
    assert good.saved_low < good.saved < good.saved_high
    assert 'saved' in good.sentence


def test_both_curves_have_points_with_intervals(good):
    for curve in (good.active, good.random):
        assert len(curve) >= 5
        assert [point.labels for point in curve] == sorted(point.labels for point in curve)
        assert all(0 <= point.low <= point.accuracy <= point.high <= 1 for point in curve)
    assert good.active[-1].labels == 240
    assert good.active[-1].accuracy > 0.85


def test_a_strategy_that_harms_is_found_out(bad):
    assert bad.worse
    assert bad.p_worse < 0.05
    assert bad.saved < 0
    assert bad.sentence.startswith('Active learning is doing worse than random: -')


def test_random_serving_is_not_called_worse_than_itself():
    reports = [compare_arms(served_by(Blind(), 70, 0.4, seed), orders=2) for seed in range(6)]
    # Of six honest tests at 5 % more than two alarms come once in 450.
    assert sum(report.worse for report in reports) <= 2
    covered = [report.saved_low <= 0 <= report.saved_high for report in reports]
    assert sum(covered) >= 5


def test_too_little_is_said_to_be_too_little():
    few = served_by(Blind(), 40, 0.1)
    report = compare_arms(few)
    assert report.saved is None
    assert report.p_worse is None
    assert not report.worse
    assert report.sentence.startswith(f'Too early to say: {few.explored.sum()} labels of randomly served tasks')
    same = Served(few.features, ['a'] * 40, np.ones(40, dtype=bool), np.full(40, 0.1))
    assert compare_arms(same).sentence == 'Too early to say: all labels so far are the same.'


def test_it_can_be_cancelled():
    report = compare_arms(served_by(Blind(), 100, 0.5), should_stop=lambda: True)
    assert report.sentence == 'The comparison was cancelled.'
    assert report.active == ()


def test_labels_of_before_are_learned_from_by_both_and_judged_by_neither():
    bad = served_by(Stubborn(), 180, 0.2)
    left = np.setdiff1d(np.arange(len(ANSWERS)), [row_of(features) for features in bad.features])
    more = np.random.default_rng(5).choice(left, 70, replace=False)
    later = Served(
        np.concatenate([bad.features, FEATURES[more]]),
        np.concatenate([bad.answers, ANSWERS[more]]),
        np.concatenate([bad.explored, np.ones(70, dtype=bool)]),
        np.concatenate([bad.propensities, np.full(70, 1 / 1000)]),
        base=180,
    )
    report = compare_arms(later, orders=2)
    assert not report.worse
    assert report.active[0].labels > 180
    assert report.active[-1].labels == 250
    assert {point.labels for point in report.random} <= {point.labels for point in report.active}
    few = Served(later.features, later.answers, later.explored, later.propensities, base=240)
    assert compare_arms(few).sentence.startswith('Too early to say: 10 labels of randomly served tasks')
    with pytest.raises(StrategyError, match='a base of 999 labels'):
        compare_arms(Served(later.features, later.answers, later.explored, later.propensities, base=999))


def row_of(features):
    return int(np.flatnonzero((features == FEATURES).all(axis=1))[0])


def test_parts_of_different_length_are_refused():
    with pytest.raises(StrategyError, match='3 features, 2 answers'):
        compare_arms(Served(np.zeros((3, 2)), ['a', 'b'], np.zeros(3, dtype=bool), np.ones(3)))
    with pytest.raises(StrategyError, match='1 random order'):
        compare_arms(Served(np.zeros((1, 2)), ['a'], np.zeros(1, dtype=bool), np.ones(1)), orders=1)


def test_rare_propensities_weigh_more():
    """Two halves of a pool, one of them served at random a quarter as often: the estimate is that of the pool."""
    rng = np.random.default_rng(0)
    easy = rng.random(400) < 0.8
    features = np.where(easy[:, None], [[0.0, 1.0]], [[0.0, 0.0]]) + 0.01 * rng.normal(size=(400, 2))
    features[:, 0] = np.where(easy, rng.integers(0, 2, 400), 0.0) + 0.01 * rng.normal(size=400)
    answers = np.where(easy, features[:, 0] > 0.5, rng.random(400) < 0.5).astype(int)
    # The easy ones should be 50 % of the pool: each counts a quarter of a hard one.
    propensities = np.where(easy, 0.04, 0.01)
    served = Served(features, answers, np.ones(400, dtype=bool), propensities)
    found = compare_arms(served, orders=2).random[-1]
    assert found.accuracy == pytest.approx(0.75, abs=0.08)
