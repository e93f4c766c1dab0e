"""Intervals and tests for scores in 0..1; every random draw has a fixed seed, so that a page says the same twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from label_studio.ml_host.quality.examination import Score

# From this p-value on a difference may as well be chance.
CHANCE = 0.05
# Two-sided 95 %.
_Z = 1.959963984540054
_SEED = 20_240_229
_RESAMPLES = 2000
_FLIPS = 9999
# Of so few tasks that differ every combination of signs is counted.
_EXACT = 13
# With so many the sum of the flipped differences is normal to three digits of p.
_NORMAL = 2000
# Numbers drawn at once, so that many tasks do not take gigabytes.
_DRAWN_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Paired:
    """Two versions on the same tasks.

    Attributes:
        tasks: How many.
        new: Mean of the new version.
        old: Mean of the one that it is held against.
        p_worse: How likely so bad a difference is if both are equally good.
        p_better: How likely so good a difference is if both are equally good.
    """

    tasks: int
    new: float
    old: float
    p_worse: float
    p_better: float

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_worse, self.p_better))


def score_of(values: Sequence[float]) -> Score | None:
    """Mean with its 95% interval: Wilson's where every value is 0 or 1, else the bootstrap's; None of no values."""
    if not len(values):
        return None
    scores = np.asarray(values, dtype=float)
    mean = float(scores.mean())
    if np.isin(scores, (0.0, 1.0)).all():
        low, high = _wilson(mean, len(scores))
    else:
        low, high = _bootstrap(scores)
    return Score(mean, low, high, len(scores))


def paired_test(new: Sequence[float], old: Sequence[float]) -> Paired:
    """Sign-flip permutation test of two versions' scores on the same tasks.

    Were both equally good, a task's difference could as well have the other sign: the p-values are the shares of sign
    combinations whose sum is at least as extreme.
    """
    first, second = np.asarray(new, dtype=float), np.asarray(old, dtype=float)
    differences = first - second
    differences = differences[differences != 0]
    worse, better = _flipped(differences) if len(differences) else (1.0, 1.0)
    means = (float(first.mean()), float(second.mean())) if len(first) else (0.0, 0.0)
    return Paired(len(first), *means, worse, better)


def drop_p_value(now: float, count_now: int, before: float, count_before: int) -> float:
    """How likely so large a drop between two means is by chance: a two-sample test of proportions, one-sided.

    Scores between 0 and 1 vary less than yes and no with the same mean, so the test errs on the side of silence.
    """
    pooled = (now * count_now + before * count_before) / (count_now + count_before)
    variance = pooled * (1 - pooled) * (1 / count_now + 1 / count_before)
    if before <= now or variance <= 0:
        return 1.0
    return _upper_tail((before - now) / math.sqrt(variance))


def _wilson(mean: float, count: int) -> tuple[float, float]:
    spread = _Z**2 / count
    middle = (mean + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(mean * (1 - mean) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _bootstrap(scores: np.ndarray) -> tuple[float, float]:
    generator = np.random.default_rng(_SEED)
    means = np.empty(_RESAMPLES)
    step = max(1, _DRAWN_AT_ONCE // len(scores))
    for start in range(0, _RESAMPLES, step):
        stop = min(_RESAMPLES, start + step)
        means[start:stop] = scores[generator.integers(0, len(scores), (stop - start, len(scores)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _flipped(differences: np.ndarray) -> tuple[float, float]:
    """Shares of sign combinations with a sum as low, and as high, as the one that was observed."""
    observed = float(differences.sum())
    if len(differences) >= _NORMAL:
        z = observed / math.sqrt(float((differences**2).sum()))
        return _upper_tail(-z), _upper_tail(z)
    # Equal sums may differ in their last digits, depending on the order of the additions.
    slack = 1e-9 * float(np.abs(differences).sum())
    if len(differences) <= _EXACT:
        numbers = np.arange(2 ** len(differences))
        signs = 1 - 2 * ((numbers[:, None] >> np.arange(len(differences))) & 1)
        sums = signs @ differences
        return float((sums <= observed + slack).mean()), float((sums >= observed - slack).mean())
    generator = np.random.default_rng(_SEED)
    low = high = 1
    step = max(1, _DRAWN_AT_ONCE // len(differences))
    for start in range(0, _FLIPS, step):
        shape = (min(step, _FLIPS - start), len(differences))
        sums = (1.0 - 2.0 * generator.integers(0, 2, shape, dtype=np.int8)) @ differences
        low += int((sums <= observed + slack).sum())
        high += int((sums >= observed - slack).sum())
    return low / (_FLIPS + 1), high / (_FLIPS + 1)


def _upper_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))
