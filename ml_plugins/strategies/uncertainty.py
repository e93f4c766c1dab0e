"""Strategies that ask where the model is unsure, by its class probabilities alone."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies import measures
from ml_plugins.strategies.batches import best, diverse, power
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Labeled, Needs, Pool

BATCH = 'How a batch is made of the scores: the best ones, different ones among the best, or a weighted draw.'


class ScoringStrategy(QueryStrategy):
    """A strategy that is a score; how the batch is made of it is a parameter."""

    params = (Param('batch', 'best', BATCH, choices=('best', 'diverse', 'power')),)

    def select(
        self,
        pool: Pool,
        labeled: Labeled,
        size: int,
        rng: np.random.Generator,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        if scores is None:
            scores = self.score(pool, labeled, rng)
        way = self.param_values['batch']
        if way == 'diverse' and pool.embeddings is not None:
            return diverse(pool.embeddings, scores, size, rng)
        # Without embeddings chance is what keeps look-alikes from filling the batch.
        return best(scores, size, rng) if way == 'best' else power(scores, size, rng)


class RandomStrategy(QueryStrategy):
    """Every task is as likely as every other: what each other strategy is held against."""

    name = 'random'
    title = 'Random'
    help = 'Any task, whatever the model says.'
    uniform = True

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Numbers in 0..1 that mean nothing."""
        return rng.random(len(pool))


class _Measured(ScoringStrategy):
    needs = Needs(probabilities=True)
    measure: ClassVar[measures.Measure]

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Unsureness in 0..1, averaged over the controls."""
        return measures.measured(pool, type(self).measure)


class LeastConfidence(_Measured):
    """One minus the probability of the likeliest label."""

    name = 'least_confidence'
    title = 'Least confidence'
    help = 'Tasks whose likeliest label is the least likely; from few labels often worse than random.'
    measure = staticmethod(measures.least_confidence)


class Entropy(_Measured):
    """Entropy of the class probabilities."""

    name = 'entropy'
    title = 'Entropy'
    help = 'Tasks whose probabilities are spread over many labels; from few labels often worse than random.'
    measure = staticmethod(measures.entropy)


class Margin(_Measured):
    """One minus the difference between the two likeliest labels."""

    name = 'margin'
    title = 'Margin'
    help = 'Tasks where two labels compete; strong while the model is renewed every few labels.'
    measure = staticmethod(measures.margin)
