"""The host's one way to ask a strategy: checked, with a share of tasks drawn at random."""

from __future__ import annotations

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.batches import fitting
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Labeled, Picked, Pool
from ml_plugins.strategies.threads import one_thread


def choose(
    strategy: QueryStrategy,
    pool: Pool,
    labeled: Labeled,
    size: int,
    rng: np.random.Generator,
    share: float = 0.05,
    scores: np.ndarray | None = None,
) -> Picked:
    """The next batch: by the strategy, and each place with probability `share` drawn from all tasks that are left.

    Args:
        size: How many; all tasks when there are fewer.
        share: Of the batch, in 0..1.
        scores: From `checked_scores`, when the host has them.

    Raises:
        StrategyError: Something that the strategy needs is missing, or it returned what is no batch; what else it
            raises comes as it is.
    """
    if not 0.0 <= share <= 1.0:
        raise StrategyError(f'an exploration share of {share} is not between 0 and 1')
    size = fitting(size, len(pool))
    if not size:
        return Picked(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=bool))
    by_chance = rng.permutation(len(pool))
    if strategy.uniform:
        share, explored = 1.0, np.ones(size, dtype=bool)
        wanted = by_chance
    else:
        explored = rng.random(size) < share
        wanted = checked_batch(strategy, pool, labeled, size, rng, scores)
    return _merged(wanted, by_chance, explored, share)


def checked_scores(strategy: QueryStrategy, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
    """The strategy's scores, shape (n,), float64, finite.

    Raises:
        StrategyError: Something that it needs is missing, or it returned something else; the message names a task.
    """
    if reason := strategy.why_not(pool.available):
        raise StrategyError(f'strategy "{strategy.name}": {reason}')
    if not len(pool):
        return np.empty(0)
    with one_thread(len(pool)):
        found = strategy.score(pool, labeled, rng)
    try:
        scores = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise StrategyError(f'strategy "{strategy.name}" returned {type(found).__name__} in place of scores') from None
    if scores.shape != (len(pool),):
        raise StrategyError(
            f'strategy "{strategy.name}" returned scores of shape {scores.shape} for {len(pool)} tasks; '
            'return one number a task'
        )
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise StrategyError(
            f'strategy "{strategy.name}" returned {scores[wrong[0]]} for task {pool.task_ids[wrong[0]]} and '
            f'{len(wrong) - 1} more; every score must be finite'
        )
    return scores


def checked_batch(
    strategy: QueryStrategy,
    pool: Pool,
    labeled: Labeled,
    size: int,
    rng: np.random.Generator,
    scores: np.ndarray | None = None,
) -> np.ndarray:
    """The strategy's batch: `size` different rows of the pool, all of them when there are fewer.

    Raises:
        StrategyError: Something that it needs is missing, or it returned something else.
    """
    if reason := strategy.why_not(pool.available):
        raise StrategyError(f'strategy "{strategy.name}": {reason}')
    size = fitting(size, len(pool))
    if not size:
        return np.empty(0, dtype=np.int64)
    with one_thread(len(pool)):
        rows = np.asarray(strategy.select(pool, labeled, size, rng, scores))
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise StrategyError(
            f'strategy "{strategy.name}" selected an array of {rows.dtype}, shape {rows.shape}; return row numbers'
        )
    if len(rows) != size or len(np.unique(rows)) != size:
        raise StrategyError(
            f'strategy "{strategy.name}" selected {len(np.unique(rows))} different rows, and {size} are wanted'
        )
    if rows.min() < 0 or rows.max() >= len(pool):
        raise StrategyError(
            f'strategy "{strategy.name}" selected row {rows.max() if rows.min() >= 0 else rows.min()} of a pool with '
            f'{len(pool)} tasks'
        )
    return rows.astype(np.int64)


def _merged(wanted: np.ndarray, by_chance: np.ndarray, explored: np.ndarray, share: float) -> Picked:
    """Fill each place from one of two orders, skipping what is taken.

    The next free task of a random order is any of the tasks that are left, each equally likely.
    """
    count, taken = len(by_chance), np.zeros(len(by_chance), dtype=bool)
    # Not as lists: a million numbers would take 36 MB.
    orders = {False: iter(wanted), True: iter(by_chance)}
    picked, propensities = np.empty(len(explored), dtype=np.int64), np.empty(len(explored))
    for place, is_explored in enumerate(explored.tolist()):
        row = next(row for row in orders[is_explored] if not taken[row])
        taken[row] = True
        picked[place] = row
        propensities[place] = share / (count - place) if is_explored else 1.0 - share
    return Picked(picked, propensities, explored)
