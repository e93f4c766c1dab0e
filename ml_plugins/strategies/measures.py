"""How unsure a model is of each task, from its class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.pool import Pool
from ml_plugins.strategies.rows import chunks, unknown_last

Measure = Callable[[np.ndarray], np.ndarray]
# Rounding of float16 stays below this; labels that do not exclude one another do not.
_SUM_TOLERANCE = 0.02


def least_confidence(rows: np.ndarray) -> np.ndarray:
    """One minus the highest probability of each row (n, classes)."""
    return 1.0 - rows.max(axis=1)


def margin(rows: np.ndarray) -> np.ndarray:
    """One minus the difference of the two highest probabilities; 0 where there is only one class."""
    if rows.shape[1] < 2:
        return np.zeros(len(rows))
    top = np.partition(rows, -2, axis=1)[:, -2:]
    return 1.0 - (top[:, 1] - top[:, 0])


def entropy(rows: np.ndarray) -> np.ndarray:
    """Entropy of each row divided by its largest possible value; 0 where there is only one class."""
    if rows.shape[1] < 2:
        return np.zeros(len(rows))
    return raw_entropy(rows) / np.log(rows.shape[1])


def raw_entropy(rows: np.ndarray) -> np.ndarray:
    """Entropy in nats over the last axis."""
    return -(rows * np.log(np.maximum(rows, 1e-30))).sum(axis=-1)


def binary_rows(values: np.ndarray) -> np.ndarray:
    """Probabilities of yes as rows (yes, no); shape (..., 2)."""
    return np.stack([values, 1.0 - values], axis=-1)


def is_multi_label(name: str, rows: np.ndarray, pool: Pool) -> bool:
    """Whether the labels of a control do not exclude one another."""
    if name in pool.multi_label:
        return True
    sums = np.asarray(rows[:1000], dtype=np.float64).sum(axis=1)
    sums = sums[np.isfinite(sums)]
    return bool(len(sums)) and abs(float(np.median(sums)) - 1.0) > _SUM_TOLERANCE


def usable_rows(rows: np.ndarray) -> np.ndarray:
    """Which rows are finite and not all zero; shape (n,), bool."""
    return np.isfinite(rows).all(axis=1) & (rows > 0).any(axis=1)


def normalised(rows: np.ndarray) -> np.ndarray:
    """Rows that add up to 1; what is not finite or below 0 counts as 0."""
    clean = np.clip(np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0), 0.0, None)
    sums = clean.sum(axis=1, keepdims=True)
    return np.divide(clean, sums, out=np.full_like(clean, 1.0 / max(1, clean.shape[1])), where=sums > 0)


def measured(pool: Pool, measure: Measure) -> np.ndarray:
    """A measure of each task of a pool, averaged over its controls; shape (n,).

    Of a control with independent labels, each label is a question of its own, and the mean over them counts. Tasks that
    the model says nothing about get the lowest value.

    Raises:
        StrategyError: The pool has no probabilities, or none of a single task are usable.
    """
    controls = _controls(pool.probabilities)
    total, known = np.zeros(len(pool)), np.ones(len(pool), dtype=bool)
    for name, rows in controls.items():
        independent = is_multi_label(name, rows, pool)
        for part in chunks(len(pool), max(64, 1_000_000 // max(1, rows.shape[1]))):
            values = np.asarray(rows[part], dtype=np.float64)
            known[part] &= np.isfinite(values).all(axis=1) if independent else usable_rows(values)
            total[part] += _of_labels(values, measure) if independent else measure(normalised(values))
    return unknown_last(total / len(controls), known, 'the class probabilities')


def _controls(probabilities: Mapping[str, np.ndarray] | None) -> dict[str, np.ndarray]:
    controls = {name: np.asarray(rows) for name, rows in (probabilities or {}).items()}
    if not controls:
        raise StrategyError('the pool has no class probabilities; take a strategy that needs none')
    for name, rows in controls.items():
        if rows.ndim != 2 or not rows.shape[1]:
            raise StrategyError(f'probabilities of "{name}" have the shape {rows.shape} and not (n, classes)')
    return controls


def _of_labels(values: np.ndarray, measure: Measure) -> np.ndarray:
    clean = np.clip(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)
    questions = binary_rows(clean).reshape(-1, 2)
    return measure(questions).reshape(clean.shape).mean(axis=1)
