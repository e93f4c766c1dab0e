"""TypiClust: the most typical task of each cluster that has no label yet. For the start."""

from __future__ import annotations

import heapq

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies.batches import filled, fitting
from ml_plugins.strategies.clustering import MOST_FITTED, centres_of, nearest
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.rows import MOST_COMPARED, covering, finite_rows, read, squared_distances, unknown_last

# Distances of a cluster's tasks are taken to so many of them.
_REFERENCES = 1000
# A cluster with fewer tasks holds outliers, and comes after the others.
_SMALL = 5
# Places that `score`, which knows of no batch, makes clusters for.
_PLACES = 20


class TypiClust(QueryStrategy):
    """As many clusters as there will be labels; of those with the fewest labels, the largest first."""

    name = 'typiclust'
    title = 'TypiClust'
    help = 'A typical task of each kind; best for the first labels, when the model knows nothing.'
    needs = Needs(embeddings=True)
    params = (
        Param('neighbours', 20, 'Tasks that a typical one is near to.', minimum=1, maximum=200),
        Param('most_clusters', 500, 'More clusters are not made, however many labels there are.', minimum=1),
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """How typical a task is of its cluster, in 0..1, minus the number of labels in the cluster."""
        known, clusters, covered = self._clusters(pool.embeddings, labeled, _PLACES, rng)
        scores = np.zeros(len(pool))
        for number in range(len(covered)):
            rows = np.flatnonzero(known & (clusters == number))
            if len(rows):
                far = self._remoteness(pool.embeddings, rows, rng)
                scores[rows] = 1.0 - far / max(float(far.max()), 1e-12) - covered[number]
        return unknown_last(scores, known, 'the embeddings')

    def select(
        self,
        pool: Pool,
        labeled: Labeled,
        size: int,
        rng: np.random.Generator,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        size = fitting(size, len(pool))
        if not size:
            return np.empty(0, dtype=np.int64)
        fallback = np.zeros(len(pool)) if scores is None else scores
        if len(pool) <= MOST_COMPARED:
            return filled(self._typical(pool.embeddings, labeled, size, rng), fallback, size, rng)
        looked_at = np.sort(rng.choice(len(pool), MOST_COMPARED, replace=False))
        picked = looked_at[self._typical(pool.embeddings[looked_at], labeled, size, rng)]
        return filled(picked, fallback, size, rng)

    def _typical(self, embeddings: np.ndarray, labeled: Labeled, size: int, rng: np.random.Generator) -> np.ndarray:
        """At most `size` rows: cluster by cluster the most typical one that is not picked yet."""
        known, clusters, covered = self._clusters(embeddings, labeled, size, rng)
        members = [np.flatnonzero(known & (clusters == number)) for number in range(len(covered))]
        # Fewest labels first; then real clusters, then the largest.
        waiting = [
            (count, len(rows) < _SMALL, -len(rows), number)
            for number, (count, rows) in enumerate(zip(covered, members, strict=True))
            if len(rows)
        ]
        heapq.heapify(waiting)
        ordered: dict[int, list[int]] = {}
        picked: list[int] = []
        while waiting and len(picked) < size:
            count, small, weight, number = heapq.heappop(waiting)
            if number not in ordered:
                rows = members[number]
                ordered[number] = rows[np.argsort(-self._remoteness(embeddings, rows, rng))].tolist()
            picked.append(ordered[number].pop())
            if ordered[number]:
                heapq.heappush(waiting, (count + 1, small, weight, number))
        return np.array(picked, dtype=np.int64)

    def _clusters(
        self, embeddings: np.ndarray, labeled: Labeled, places: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Usable tasks, the cluster of each task, and the number of labels in each cluster."""
        known = finite_rows(embeddings)
        unknown_last(np.zeros(len(embeddings)), known, 'the embeddings')
        labels = covering(labeled, embeddings.shape[1])
        rows = _sample(embeddings, np.flatnonzero(known), rng)
        if len(labels):
            rows = np.concatenate([rows, _sample(labels, np.arange(len(labels)), rng)])
        count = min(len(labeled) + places, int(self.param_values['most_clusters']))
        centres = centres_of(rows, count, rng)
        covered = np.zeros(len(centres), dtype=np.int64)
        np.add.at(covered, nearest(labels, centres)[0], 1)
        return known, nearest(embeddings, centres)[0], covered

    def _remoteness(self, embeddings: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Mean distance of each row to its nearest neighbours among the rows; 0 for one alone."""
        references = rows if len(rows) <= _REFERENCES else rng.choice(rows, _REFERENCES, replace=False)
        count = min(int(self.param_values['neighbours']), len(references) - 1)
        if count < 1:
            return np.zeros(len(rows))
        others = read(embeddings, np.sort(references))
        parts = []
        for some in np.array_split(rows, max(1, len(rows) // 2048)):
            found = squared_distances(read(embeddings, some), others)
            # The nearest is the row itself, where it is among the references.
            parts.append(np.sqrt(np.partition(found, count, axis=1)[:, : count + 1]).sum(axis=1) / count)
        return np.concatenate(parts)


def _sample(embeddings: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if len(rows) > MOST_FITTED:
        rows = np.sort(rng.choice(rows, MOST_FITTED, replace=False))
    return read(embeddings, rows)
