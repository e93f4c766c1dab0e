"""The two arms of a comparison: labels as they came, and as many random ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.strategies.heads import Fit

_FOLDS = 5
_POINTS = 6


@dataclass(frozen=True)
class Served:
    """Labeled tasks in the order in which they were labeled.

    Attributes:
        features: What a model learns from, shape (n, d); embeddings will do.
        answers: Labels, shape (n,).
        explored: Whether the task was served at random, shape (n,), bool.
        propensities: As `Picked` reported them, shape (n,).
        base: So many of the first labels were there before: both arms learn from them, and neither is judged by them.
    """

    features: np.ndarray
    answers: Sequence[Any]
    explored: np.ndarray
    propensities: np.ndarray
    base: int = 0


class Arms:
    """Whether each arm is right (1) or wrong (0) about each random task, with each number of labels and each order.

    Numbers of labels count what was labeled after the base.
    """

    def __init__(
        self,
        served: Served,
        rows: np.ndarray,
        fit: Fit,
        rng: np.random.Generator,
        orders: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        labels, self.answers = np.unique(np.asarray(served.answers).astype(str), return_inverse=True)
        self.classes, self.rows, self.fit, self.rng = len(labels), rows, fit, rng
        self.features, self.orders, self.should_stop = np.asarray(served.features), orders, should_stop
        weights = 1.0 / np.asarray(served.propensities, dtype=float)[rows]
        self.weights = weights / weights.sum()
        self.fold_of = rng.permutation(len(rows)) % _FOLDS
        most = len(rows) - int(np.bincount(self.fold_of).max())
        self.counts = _spaced(min(5, most), most)
        self.base = served.base
        total = len(self.answers) - self.base
        self.active_counts = sorted({*self.counts, *_spaced(most, total)})
        self.random = np.zeros((orders, len(self.counts), len(rows)))
        self.active = np.zeros((len(self.active_counts), len(rows)))

    def measure(self) -> bool:
        """Fill both tables; False when it was cancelled."""
        everything = np.arange(self.base, len(self.answers))
        shuffles = [self.rng.permutation(self.rows) for _ in range(self.orders)]
        for fold in range(_FOLDS):
            if self.should_stop is not None and self.should_stop():
                return False
            held_out = self.rows[self.fold_of == fold]
            mine = self.fold_of == fold
            in_order = everything[~np.isin(everything, held_out)]
            for number, count in enumerate(self.active_counts):
                self.active[number, mine] = self._right(in_order[:count], held_out)
            for order, shuffled in enumerate(shuffles):
                others = shuffled[~np.isin(shuffled, held_out)]
                for number, count in enumerate(self.counts):
                    self.random[order, number, mine] = self._right(others[:count], held_out)
        return True

    def _right(self, more: np.ndarray, asked: np.ndarray) -> np.ndarray:
        learned = np.concatenate([np.arange(self.base), more])
        predict = self.fit(self.features[learned], self.answers[learned], self.classes)
        return (predict(self.features[asked]).argmax(axis=1) == self.answers[asked]).astype(float)


def _spaced(first: int, last: int) -> list[int]:
    """A few numbers from the first to the last, each a good deal larger than the one before."""
    if last <= first:
        return [last]
    return sorted({round(float(count)) for count in np.geomspace(first, last, _POINTS)})
