"""Is active learning worth it: labels as they were served, against the random share alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.arms import Arms, Served
from ml_plugins.strategies.gain import fit_power_law
from ml_plugins.strategies.heads import Fit, logistic
from ml_plugins.strategies.statistics import lower_tail, resamples, worse_p_value

# With fewer labels of randomly served tasks nothing is said.
FEWEST_RANDOM = 20
# One-sided. False alarms are likely only where active learning is no better than random, and there random is free.
ALARM = 0.05
# A label is never said to be worth more random ones than this.
_MOST_WORTH = 5.0
_LAWS = 300


@dataclass(frozen=True)
class ArmPoint:
    """Accuracy with a number of labels, on randomly served tasks that were not learned from, and its 95% interval."""

    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class ArmsReport:
    """Both learning curves and what follows from them.

    Attributes:
        active: The labels in the order in which they came.
        random: The randomly served ones alone.
        saved: Labels that random serving would have needed on top; None when it cannot be told.
        saved_low: Lower end of its 95% interval.
        saved_high: Its upper end.
        p_worse: How likely so bad a difference is when active learning is as good as random; None when not tested.
        worse: Whether active learning is doing worse than random, beyond chance.
        sentence: For people.
    """

    active: tuple[ArmPoint, ...]
    random: tuple[ArmPoint, ...]
    saved: float | None
    saved_low: float | None
    saved_high: float | None
    p_worse: float | None
    worse: bool
    sentence: str


def compare_arms(
    served: Served,
    fit: Fit = logistic,
    orders: int = 5,
    seed: int = 1,
    should_stop: Callable[[], bool] | None = None,
) -> ArmsReport:
    """Learn from the first labels as they came, and from as many random ones, and measure both on random ones.

    Every randomly served task is measured by models that did not learn from it, and weighs as much as the inverse of
    its propensity: the estimates are those for all tasks that were unlabeled at the time, and not for the tasks that
    the strategy likes.

    Args:
        fit: Makes a model; see `ml_plugins.strategies.heads`.
        orders: Random orders of the random labels, two or more: their curve is the mean over them, and how far they lie
            apart says what chance does to one order of labels.

    Raises:
        StrategyError: The parts differ in length, or fewer than two orders are asked for.
    """
    _check(served, orders)
    random_rows = np.flatnonzero(np.asarray(served.explored, dtype=bool))
    random_rows = random_rows[random_rows >= served.base]
    if len(random_rows) < FEWEST_RANDOM:
        return _silent(
            f'Too early to say: {len(random_rows)} labels of randomly served tasks are there, and {FEWEST_RANDOM} are '
            'needed.'
        )
    if len({str(answer) for answer in served.answers}) < 2:
        return _silent('Too early to say: all labels so far are the same.')
    arms = Arms(served, random_rows, fit, np.random.default_rng(seed), orders, should_stop)
    if not arms.measure():
        return _silent('The comparison was cancelled.')
    return _judged(arms)


def _judged(arms: Arms) -> ArmsReport:
    draws = resamples(len(arms.rows))
    active = _points(arms.active_counts, arms.active, arms, draws)
    random = _points(arms.counts, arms.random.mean(axis=0), arms, draws)
    points, p_worse = _difference(arms)
    saved, low, high = _saved(arms, draws[:_LAWS])
    worse = p_worse < ALARM
    if worse:
        sentence = (
            f'Active learning is doing worse than random: {100 * points:+.1f} points with as many labels '
            f'(p = {p_worse:.3f}).'
        )
    elif low > 0:
        sentence = f'About {saved:.0f} labels saved so far ({low:.0f} to {high:.0f}).'
    else:
        sentence = f'No clear difference from random yet: {saved:.0f} labels saved ({low:.0f} to {high:.0f}).'
    return ArmsReport(active, random, saved, low, high, p_worse, worse, sentence)


def _difference(arms: Arms) -> tuple[float, float]:
    """Accuracy of the active arm minus that of the random one with as many labels; and the p-value of "worse"."""
    shared = [arms.active_counts.index(count) for count in arms.counts]
    # Without the smallest numbers: with five labels, chance rules both.
    later = slice(len(shared) // 2, None)
    of_orders = arms.random[:, later].mean(axis=1)
    differences = arms.active[shared][later].mean(axis=0) - of_orders.mean(axis=0)
    mean = float(arms.weights @ differences)
    # Other tasks to measure on, and another order of labels, would both give another difference.
    by_task = float(((arms.weights * (differences - mean)) ** 2).sum())
    by_order = float((of_orders @ arms.weights).var(ddof=1)) * (1 + 1 / len(of_orders))
    return mean, max(worse_p_value(differences, arms.weights), lower_tail(mean, by_task + by_order))


def _saved(arms: Arms, draws: np.ndarray) -> tuple[float, float, float]:
    """Labels that random serving would have needed on top of those that there are, with its interval.

    How many random labels one label is worth is read off where both curves are: the labels at which the active curve is
    as high as the random one at its end. That they are worth as much from there on is cautious; as a rule they are
    worth more the higher the accuracy is.
    """
    total, last = float(arms.active_counts[-1]), float(arms.counts[-1])
    counts = np.asarray(arms.counts, dtype=float)
    near = [number for number, count in enumerate(arms.active_counts) if count <= 4 * last]
    active_counts = np.asarray(arms.active_counts, dtype=float)[near]

    def of(active: np.ndarray, random: np.ndarray) -> float:
        level = fit_power_law(arms.base + counts, random).at(arms.base + last)
        needed = fit_power_law(arms.base + active_counts, active).labels_for(level) - arms.base
        worth = last / min(max(needed, 1.0), total)
        return total * (min(worth, _MOST_WORTH) - 1.0)

    value = of(arms.active[near] @ arms.weights, (arms.random @ arms.weights).mean(axis=0))
    drawn = []
    for number, draw in enumerate(draws):
        weights = arms.weights[draw] / arms.weights[draw].sum()
        of_orders = arms.random[:, :, draw] @ weights
        # The labels came in one order; another one would lie as far from the mean as the random orders do.
        luck = (of_orders[number % len(of_orders)] - of_orders.mean(axis=0)) * np.sqrt(1 + 2 / (len(of_orders) - 1))
        active = arms.active[np.ix_(near, draw)] @ weights + np.interp(active_counts, counts, luck)
        drawn.append(of(active, of_orders.mean(axis=0)))
    low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
    return value, min(low, value), max(high, value)


def _points(counts: Sequence[int], right: np.ndarray, arms: Arms, draws: np.ndarray) -> tuple[ArmPoint, ...]:
    drawn = arms.weights[draws]
    drawn /= drawn.sum(axis=1, keepdims=True)
    found = []
    for count, row in zip(counts, right, strict=True):
        low, high = np.clip(np.quantile((row[draws] * drawn).sum(axis=1), (0.025, 0.975)), 0.0, 1.0)
        found.append(ArmPoint(arms.base + int(count), min(1.0, float(row @ arms.weights)), float(low), float(high)))
    return tuple(found)


def _silent(sentence: str) -> ArmsReport:
    return ArmsReport((), (), None, None, None, None, False, sentence)


def _check(served: Served, orders: int) -> None:
    if orders < 2:
        raise StrategyError(f'{orders} random order says nothing about chance; take 2 or more')
    lengths = {name: len(getattr(served, name)) for name in ('features', 'answers', 'explored', 'propensities')}
    if len(set(lengths.values())) > 1:
        listed = ', '.join(f'{count} {name}' for name, count in lengths.items())
        raise StrategyError(f'every label needs one of each: {listed}')
    if not 0 <= served.base <= len(served.answers):
        raise StrategyError(f'a base of {served.base} labels is not between 0 and all {len(served.answers)}')
