"""Intervals and tests; every draw has a seed, so that a page says the same twice."""

from __future__ import annotations

import math

import numpy as np

_RESAMPLES = 1000
_FLIPS = 9999


def interval_of_means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% interval of the mean of each column of values (runs, points), by the t distribution; no width for one run."""
    from scipy.stats import t

    mean, count = values.mean(axis=0), len(values)
    if count < 2:
        return mean, mean
    half = float(t.ppf(0.975, count - 1)) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return mean - half, mean + half


def resamples(count: int, times: int = _RESAMPLES, seed: int = 1) -> np.ndarray:
    """Rows for a bootstrap, shape (times, count)."""
    return np.random.default_rng(seed).integers(0, count, (times, count))


def worse_p_value(differences: np.ndarray, weights: np.ndarray, seed: int = 1) -> float:
    """How likely so low a weighted sum of differences is, if each could as well have the other sign (one-sided)."""
    weighted = np.asarray(differences, dtype=float) * weights
    weighted = weighted[weighted != 0]
    if not len(weighted):
        return 1.0
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, (_FLIPS, len(weighted)), dtype=np.int8)
    slack = 1e-9 * float(np.abs(weighted).sum())
    return float(1 + (signs @ weighted <= weighted.sum() + slack).sum()) / (_FLIPS + 1)


def lower_tail(mean: float, variance: float) -> float:
    """How likely a mean is to be so low by chance, by the normal distribution."""
    if variance <= 0:
        return 1.0 if mean >= 0 else 0.0
    return 0.5 * math.erfc(-mean / math.sqrt(2 * variance))
