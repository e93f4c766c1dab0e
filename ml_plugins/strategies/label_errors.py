"""Labels that the model contradicts, by confident learning on cross-validated probabilities.

The rule is a few lines of numpy, so it stands here and not in a dependency: cleanlab's filter ``low_self_confidence``
chooses the same way, and brings pandas and two more packages along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.heads import Fit, logistic
from ml_plugins.strategies.threads import quiet_threads


@dataclass(frozen=True)
class SuspectedError:
    """A labeled task whose label is doubtful.

    Attributes:
        row: Row of the arrays that were given.
        given: The label that it has.
        suggested: The label that the model would give.
        confidence: Probability of the suggested label.
        doubt: Probability of the suggested label minus that of the given one.
    """

    row: int
    given: str
    suggested: str
    confidence: float
    doubt: float


def suspected_errors(
    answers: Sequence[Any], probabilities: np.ndarray, labels: Sequence[str], most: int | None = None
) -> list[SuspectedError]:
    """Tasks whose label the model contradicts, the most doubtful first.

    How many there are is counted by confident learning: a class counts for a task when its probability is at least as
    high as it is on average among tasks that have that label, and of the classes that count, the likeliest should be
    the given one. As many of the tasks with the least probable labels are suspected.

    Args:
        answers: The label of each task, shape (n,).
        probabilities: By models that did not learn from the task, shape (n, classes); see `cross_validated`.
        labels: What the columns stand for.
        most: At most so many.

    Raises:
        StrategyError: The shapes differ, or a label has no column.
    """
    given = _numbers(answers, labels)
    rows = np.asarray(probabilities, dtype=np.float64)
    if rows.shape != (len(given), len(labels)):
        raise StrategyError(f'{len(given)} answers and {len(labels)} labels need that many rows, not {rows.shape}')
    usable = np.isfinite(rows).all(axis=1)
    # A class that nobody gave cannot be suggested.
    thresholds = np.full(len(labels), np.inf)
    for number in range(len(labels)):
        mine = rows[usable & (given == number), number]
        if len(mine):
            thresholds[number] = mine.mean()
    counts = np.where(usable[:, None] & (rows >= thresholds - 1e-9), rows, -1.0)
    number = int(((counts.max(axis=1) > 0) & (counts.argmax(axis=1) != given)).sum())
    own = np.where(usable, rows[np.arange(len(given)), given], np.inf)
    others = np.where(np.isfinite(thresholds) & usable[:, None], rows, -1.0)
    others[np.arange(len(given)), given] = -1.0
    suggested = others.argmax(axis=1)
    doubts = others.max(axis=1, initial=-1.0) - own
    wrong = np.argsort(own, kind='stable')[:number]
    wrong = wrong[doubts[wrong] > 0][:most]
    return [
        SuspectedError(
            int(row),
            str(labels[given[row]]),
            str(labels[suggested[row]]),
            float(rows[row, suggested[row]]),
            float(doubts[row]),
        )
        for row in wrong
    ]


def cross_validated(
    features: np.ndarray,
    answers: Sequence[Any],
    labels: Sequence[str],
    fit: Fit = logistic,
    folds: int = 5,
    seed: int = 1,
    should_stop: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Probabilities of each task by a model that learned from the others, shape (n, classes).

    Folds are stratified as far as a class has enough labels. Stopped, the rest stays NaN.

    Raises:
        StrategyError: There are fewer than two tasks, or a label has no column.
    """
    given = _numbers(answers, labels)
    if len(given) < 2:
        raise StrategyError(f'{len(given)} labeled tasks cannot be cross-validated; label two or more')
    rng = np.random.default_rng(seed)
    fold_of = np.empty(len(given), dtype=np.int64)
    # By class, shuffled inside it, dealt out by turns: each fold gets its part of each class.
    order = np.lexsort((rng.random(len(given)), given))
    fold_of[order] = np.arange(len(given)) % min(folds, len(given))
    found = np.full((len(given), len(labels)), np.nan)
    with quiet_threads():
        for fold in range(min(folds, len(given))):
            if should_stop is not None and should_stop():
                break
            inside = fold_of != fold
            predict = fit(np.asarray(features[inside]), given[inside], len(labels))
            found[~inside] = predict(np.asarray(features[~inside]))
    return found


def _numbers(answers: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    number_of = {str(label): number for number, label in enumerate(labels)}
    unknown = sorted({str(answer) for answer in answers} - set(number_of))
    if unknown:
        raise StrategyError(f'the label "{unknown[0]}" is none of {", ".join(map(str, labels))}')
    return np.array([number_of[str(answer)] for answer in answers], dtype=np.int64)
