"""Power sampling: a draw by score in place of the best scores, which suits large and stale batches."""

from __future__ import annotations

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies.batches import power
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.disagreement import Bald, Committee
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.structured import Mnlp, RegionUncertainty
from ml_plugins.strategies.uncertainty import Entropy, LeastConfidence, Margin

BASES = {kind.name: kind for kind in (Margin, Entropy, LeastConfidence, Bald, Committee, Mnlp, RegionUncertainty)}


class Power(QueryStrategy):
    """Tasks drawn with weights ``score ** beta`` of another strategy."""

    name = 'power'
    title = 'Power'
    help = 'A weighted draw by the scores of another strategy; as good as costly batch methods, without embeddings.'
    params = (
        Param('base', 'margin', 'The strategy that gives the scores.', choices=tuple(sorted(BASES))),
        Param('beta', 1.0, '0 is random, and a large number takes the best scores.', minimum=0, maximum=100),
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """What the other strategy says."""
        return self._base().score(pool, labeled, rng)

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
        return power(scores, size, rng, float(self.param_values['beta']))

    def why_not(self, available: Needs) -> str:
        """What the other strategy lacks."""
        return self._base().why_not(available)

    def _base(self) -> QueryStrategy:
        return BASES[str(self.param_values['base'])]()
