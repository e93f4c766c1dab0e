"""A power law through a learning curve: what the next labels will bring, and how many a score takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A law has three numbers; with fewer points than this it says nothing.
FEWEST_POINTS = 4
# Points with less than one in so many of the labels are left out: the first labels follow another law.
_REACH = 8
_EXPONENTS = np.geomspace(0.1, 2.0, 25)
_DRAWS = 300
# Standard error of a score whose own is not known.
_USUAL_ERROR = 0.02


@dataclass(frozen=True)
class Measured:
    """A score in 0..1 with a number of labels, and its standard error where it is known."""

    labels: int
    score: float
    error: float | None = None


@dataclass(frozen=True)
class PowerLaw:
    """``score = top - drop * labels ** -exponent``."""

    top: float
    drop: float
    exponent: float

    def at(self, labels: float) -> float:
        """The score at a number of labels."""
        return self.top - self.drop * float(labels) ** -self.exponent

    def labels_for(self, score: float) -> float:
        """Labels that a score takes; infinite when it is never reached."""
        if score >= self.top:
            return math.inf
        if self.drop <= 0:
            return 0.0
        return float((self.drop / (self.top - score)) ** (1.0 / self.exponent))


@dataclass(frozen=True)
class GainForecast:
    """What the next labels will bring.

    Attributes:
        ahead: How many next labels.
        gain: Expected rise of the score (0.004 is 0.4 points); None when it cannot be told.
        low: Lower end of the 95% interval of the rise that will be measured, chance of the measurement included.
        high: Its upper end.
        expected_high: Upper end of the interval of the expected rise, without that chance.
        sentence: For people.
    """

    ahead: int
    gain: float | None
    low: float
    high: float
    expected_high: float
    sentence: str


def forecast_gain(points: Sequence[Measured], ahead: int = 100, seed: int = 1) -> GainForecast:
    """Fit a power law and say what `ahead` more labels will bring, with an interval."""
    points = [item for item in points if item.labels > 0 and math.isfinite(item.score)]
    now = max((item.labels for item in points), default=0)
    points = [item for item in points if item.labels >= now / _REACH]
    distinct = len({item.labels for item in points})
    if distinct < FEWEST_POINTS:
        sentence = (
            f'Too early to say what the next labels bring: {distinct} of {FEWEST_POINTS} measured models are there.'
        )
        return GainForecast(ahead, None, 0.0, 0.0, 0.0, sentence)
    labels, scores, errors = _arrays(points)
    law = fit_power_law(labels, scores, errors)
    gain = law.at(now + ahead) - law.at(now)
    noise, rng = _noise(law, labels, scores, errors), np.random.default_rng(seed)
    # The fitted curve with the points' distances from it as noise, and fitted anew.
    fitted = np.array([law.at(count) for count in labels])
    laws = [fit_power_law(labels, fitted + noise * draw, errors) for draw in rng.normal(size=(_DRAWS, len(scores)))]
    expected = np.array([item.at(now + ahead) - item.at(now) for item in laws])
    measured = expected + noise * math.sqrt(2) * rng.normal(size=_DRAWS)
    low, high = (float(value) for value in np.quantile(measured, (0.025, 0.975)))
    sentence = (
        f'The next {ahead} labels will bring about {100 * gain:+.1f} points '
        f'(95 % interval {100 * low:+.1f} to {100 * high:+.1f}).'
    )
    expected_high = max(gain, float(np.quantile(expected, 0.975)))
    return GainForecast(ahead, float(gain), min(low, gain), max(high, gain), expected_high, sentence)


def fit_power_law(labels: np.ndarray, scores: np.ndarray, errors: np.ndarray | None = None) -> PowerLaw:
    """The law with the least weighted squared distance that rises and stays below 1.

    For each exponent of a grid the other two numbers follow by linear least squares, so that the fit never fails to
    converge and is the same every time.
    """
    weights = np.ones(len(scores)) if errors is None else 1.0 / errors**2
    terms = np.asarray(labels, dtype=float)[None, :] ** -_EXPONENTS[:, None]
    total = weights.sum()
    mean_terms, mean_score = terms @ weights / total, float(weights @ scores / total)
    spread = ((terms - mean_terms[:, None]) ** 2) @ weights
    product = ((terms - mean_terms[:, None]) * (scores - mean_score)) @ weights
    drops = np.maximum(-product / np.maximum(spread, 1e-12), 0.0)
    tops = mean_score + drops * mean_terms
    # Where the best top is above 1, the top is 1 and the drop alone is fitted.
    above = tops > 1.0
    drops = np.where(above, np.maximum(terms @ (weights * (1.0 - scores)) / (terms**2 @ weights), 0.0), drops)
    tops = np.where(above, 1.0, tops)
    misses = ((tops[:, None] - drops[:, None] * terms - scores) ** 2) @ weights
    best = int(misses.argmin())
    return PowerLaw(float(tops[best]), float(drops[best]), float(_EXPONENTS[best]))


def _arrays(points: Sequence[Measured]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.array([item.labels for item in points], dtype=float)
    scores = np.array([item.score for item in points], dtype=float)
    errors = np.array([item.error if item.error is not None else _USUAL_ERROR for item in points], dtype=float)
    return labels, scores, np.maximum(np.nan_to_num(errors, nan=_USUAL_ERROR), 1e-3)


def _noise(law: PowerLaw, labels: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> float:
    """How far the points lie from the curve.

    All points are measured on much the same tasks, so that they wobble less than their errors say.
    """
    missed = scores - np.array([law.at(count) for count in labels])
    spread = math.sqrt(float((missed**2).sum()) / max(1, len(scores) - 3))
    return max(spread, 0.25 * float(errors.mean()))
