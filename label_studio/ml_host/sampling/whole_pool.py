"""A strategy that sees what the model knows, and a pool that holds every unlabeled task."""

from __future__ import annotations

import numpy as np

from ml_plugins.strategies import Labeled, Needs, Pool, QueryStrategy


class OnWholePool(QueryStrategy):
    """Lets a strategy choose among the tasks that the model has answered; all others come after them, in random order.

    The random share is drawn from every task: one that the model has not answered yet is as likely as any other. Else
    what is estimated from that share would hold for the answered ones alone.

    Args:
        inner: The strategy.
        known: What the model said.
        rows: For each task of `known` its row in the whole pool.
    """

    name = 'on_whole_pool'
    title = 'On the whole pool'

    def __init__(self, inner: QueryStrategy, known: Pool, rows: np.ndarray) -> None:
        super().__init__()
        self._inner, self._known, self._rows = inner, known, rows
        self.uniform = inner.uniform

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """The strategy's scores; tasks without an answer have the lowest of them."""
        return self.spread(self._inner.score(self._known, labeled, rng), len(pool))

    def spread(self, scores: np.ndarray, count: int) -> np.ndarray:
        """Scores of the answered tasks as scores of all."""
        found = np.full(count, scores.min() if len(scores) else 0.0)
        found[self._rows] = scores
        return found

    def select(
        self,
        pool: Pool,
        labeled: Labeled,
        size: int,
        rng: np.random.Generator,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        wanted = min(size, len(self._known))
        own = None if scores is None else np.asarray(scores)[self._rows]
        picked = np.asarray(self._inner.select(self._known, labeled, wanted, rng, own))
        _check(self._inner, picked, len(self._known))
        first = self._rows[picked]
        if len(first) >= size:
            return first
        others = rng.permutation(len(pool))
        return np.concatenate([first, others[~np.isin(others, first)][: size - len(first)]])

    def why_not(self, available: Needs) -> str:
        return self._inner.why_not(self._known.available)


def _check(strategy: QueryStrategy, picked: np.ndarray, count: int) -> None:
    from ml_plugins.exceptions import StrategyError

    if picked.ndim != 1 or not np.issubdtype(picked.dtype, np.integer):
        raise StrategyError(
            f'strategy "{strategy.name}" selected an array of {picked.dtype}, shape {picked.shape}; return row numbers'
        )
    if len(picked) and (picked.min() < 0 or picked.max() >= count):
        wrong = picked.max() if picked.min() >= 0 else picked.min()
        raise StrategyError(f'strategy "{strategy.name}" selected row {wrong} of a pool with {count} tasks')
