"""Strategies for answers with parts: sequences of tokens, and pictures with regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies.measures import binary_rows, entropy, margin, normalised
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.rows import unknown_last
from ml_plugins.strategies.uncertainty import BATCH, ScoringStrategy

_DIVERSE = Param('batch', 'diverse', BATCH, choices=('best', 'diverse', 'power'))


class Mnlp(ScoringStrategy):
    """Maximum normalised log-probability: how unlikely the best answer is by token, so that length does not count."""

    name = 'mnlp'
    title = 'MNLP'
    help = 'Texts whose best answer is unlikely for its length; for spans and sequences.'
    needs = Needs(sequences=True)
    params = (
        Param('rule', 'mean', 'By the mean over the tokens, or by the least likely token.', choices=('mean', 'least')),
        _DIVERSE,
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Mean negative log-probability of a token, or one minus the least probability; empty sequences come last."""
        if self.param_values['rule'] == 'mean':
            return _each(pool.sequences, lambda tokens: -float(tokens.mean()), 'the sequences')
        return _each(pool.sequences, lambda tokens: 1.0 - float(np.exp(tokens.min())), 'the sequences')


class RegionUncertainty(ScoringStrategy):
    """How unsure the model is of a picture's boxes, polygons or pixels."""

    name = 'region_uncertainty'
    title = 'Region uncertainty'
    help = 'Pictures with doubtful boxes or pixels; for detection and segmentation.'
    needs = Needs(regions=True)
    params = (
        Param(
            'aggregate',
            'sum',
            'One number of many regions: sum for boxes, mean for pixels, max where one doubt is enough.',
            choices=('sum', 'max', 'mean'),
        ),
        Param('measure', 'entropy', 'Doubt about one region.', choices=('entropy', 'margin')),
        _DIVERSE,
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """The aggregate over the regions, each in 0..1; a picture without regions has 0."""
        measure = entropy if self.param_values['measure'] == 'entropy' else margin
        aggregate = {'sum': np.sum, 'max': np.max, 'mean': np.mean}[str(self.param_values['aggregate'])]

        def doubt(regions: np.ndarray) -> float:
            if regions.ndim == 1 or regions.shape[1] == 1:
                rows = binary_rows(np.clip(regions.reshape(-1), 0.0, 1.0))
            else:
                rows = normalised(regions)
            return float(aggregate(measure(rows)))

        return _each(pool.regions, doubt, 'the regions', empty=0.0)


def _each(
    parts: Sequence[np.ndarray], compute: Callable[[np.ndarray], float], what: str, empty: float | None = None
) -> np.ndarray:
    """A number of each task; tasks with values that are not finite come last, and by default so do empty ones."""
    scores, known = np.zeros(len(parts)), np.zeros(len(parts), dtype=bool)
    for number, part in enumerate(parts):
        values = np.asarray(part, dtype=np.float64)
        if values.size and np.isfinite(values).all():
            scores[number], known[number] = compute(values), True
        elif not values.size and empty is not None:
            scores[number], known[number] = empty, True
    return unknown_last(scores, known, what)
