"""Core-set: cover the tasks, so that none is far from a labeled one."""

from __future__ import annotations

import numpy as np

from ml_plugins.strategies.batches import filled, fitting
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.rows import (
    MOST_COMPARED,
    by_chunk,
    chunks,
    covering,
    finite_rows,
    read,
    squared_distances,
    unknown_last,
)

# Labeled tasks that are compared at a time.
_AT_ONCE = 1024


class CoreSet(QueryStrategy):
    """The task farthest from all that are labeled or picked, again and again (k-center greedy)."""

    name = 'core_set'
    title = 'Core-set'
    help = 'Tasks far from all labeled ones; outliers come early.'
    needs = Needs(embeddings=True)

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Distance to the nearest labeled task, or to the mean of the pool while none is labeled."""
        known = finite_rows(pool.embeddings)
        distances = np.sqrt(_to_nearest(pool.embeddings, _covered(pool, labeled)))
        return unknown_last(distances, known, 'the embeddings')

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
        size = fitting(size, len(pool))
        looked_at = np.arange(len(pool))
        if len(pool) > MOST_COMPARED:
            looked_at = np.sort(rng.choice(len(pool), MOST_COMPARED, replace=False))
        looked_at = looked_at[finite_rows(pool.embeddings[looked_at])]
        rows = read(pool.embeddings, looked_at)
        distances = np.asarray(scores, dtype=np.float64)[looked_at] ** 2
        starts = not len(covering(labeled, rows.shape[1]))
        picked: list[int] = []
        while len(picked) < min(size, len(rows)):
            # With nothing labeled, the middle is the first thing to know.
            last = int(distances.argmax()) if picked or not starts else int(distances.argmin())
            if picked and distances[last] <= 0:
                break
            if not picked and starts:
                distances = np.full(len(rows), np.inf)
            picked.append(last)
            np.minimum(distances, squared_distances(rows, rows[last : last + 1])[:, 0], out=distances)
            distances[picked] = -1.0
        return filled(looked_at[np.array(picked, dtype=np.int64)], scores, size, rng)


def _covered(pool: Pool, labeled: Labeled) -> np.ndarray:
    known = covering(labeled, pool.embeddings.shape[1])
    if len(known):
        return known
    total = np.zeros(pool.embeddings.shape[1])
    for part in chunks(len(pool)):
        total += read(pool.embeddings, part).sum(axis=0)
    return (total / max(1, len(pool)))[None, :].astype(np.float32)


def _to_nearest(embeddings: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distance of each row to the nearest centre."""

    def nearest(part: slice) -> np.ndarray:
        rows = read(embeddings, part)
        found = np.full(len(rows), np.inf)
        for some in chunks(len(centres), _AT_ONCE):
            np.minimum(found, squared_distances(rows, read(centres, some)).min(axis=1), out=found)
        return found

    return by_chunk(len(embeddings), nearest)
