"""Small margins that differ: uncertainty inside, diversity outside."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies import measures
from ml_plugins.strategies.batches import best, diverse, filled, fitting
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Labeled, Needs, Pool


class ClusterMargin(QueryStrategy):
    """Of several times as many tasks with small margins as the batch has places, one of each cluster."""

    name = 'cluster_margin'
    title = 'Cluster margin'
    help = 'Tasks where two labels compete, and that differ from one another; good in large batches, too.'
    needs = Needs(probabilities=True, embeddings=True)
    params = (
        Param('candidates', 5, 'Tasks looked at for each place in the batch.', minimum=1, maximum=100),
        Param('given_clusters', False, 'Take turns in clusters that the server keeps instead of clustering each time.'),
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """One minus the margin, averaged over the controls."""
        return measures.measured(pool, measures.margin)

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
        candidates = int(self.param_values['candidates'])
        if self.param_values['given_clusters'] and pool.clusters is not None:
            return in_turns(pool.clusters, scores, size, rng, candidates)
        return diverse(pool.embeddings, scores, size, rng, candidates)


def in_turns(
    clusters: np.ndarray, scores: np.ndarray, size: int, rng: np.random.Generator, candidates: int
) -> np.ndarray:
    """The best ``candidates * size`` rows by turns from their clusters, the smallest cluster first."""
    size = fitting(size, len(scores))
    waiting: dict[int, list[int]] = defaultdict(list)
    for row in best(scores, size * candidates, rng):
        waiting[int(clusters[row])].append(int(row))
    rounds = sorted(waiting.values(), key=len)
    picked: list[int] = []
    turn = 0
    while rounds and len(picked) < size:
        picked.extend(rows[turn] for rows in rounds)
        turn += 1
        rounds = [rows for rows in rounds if len(rows) > turn]
    return filled(np.array(picked, dtype=np.int64), scores, size, rng)
