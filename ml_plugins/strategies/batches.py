"""Make a batch of scores: the best ones, different ones among the best, or a weighted draw."""

from __future__ import annotations

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.clustering import k_means
from ml_plugins.strategies.rows import finite_rows, read

# More candidates than this would make the clustering slow and the batch no better.
_MOST_CANDIDATES = 20_000


def fitting(size: int, count: int) -> int:
    """The size of a batch out of `count` tasks. Raises `StrategyError` for a negative one."""
    if size < 0:
        raise StrategyError(f'a batch of {size} tasks cannot be chosen; ask for 0 or more')
    return min(int(size), count)


def best(scores: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rows with the highest scores, highest first; ties in random order."""
    scores = np.asarray(scores)
    order = rng.permutation(len(scores))
    return order[np.argsort(-scores[order], kind='stable')][: fitting(size, len(scores))]


def power(scores: np.ndarray, size: int, rng: np.random.Generator, beta: float = 1.0) -> np.ndarray:
    """Rows drawn without replacement with weights ``score ** beta``, by the Gumbel top-k trick.

    Scores below 0 are shifted up. With equal scores, every row is as likely as every other.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if len(scores) and scores.min() < 0:
        scores = scores - scores.min()
    weights = np.log(np.maximum(scores, np.finfo(np.float64).tiny))
    # A weight of 0 stays a weight: where fewer rows than asked for have one, the others fill the batch.
    return best(beta * weights + rng.gumbel(size=len(scores)), size, rng)


def diverse(
    embeddings: np.ndarray,
    scores: np.ndarray,
    size: int,
    rng: np.random.Generator,
    candidates: int = 5,
) -> np.ndarray:
    """Rows that have high scores and differ: the best ``candidates * size`` are clustered, one of each is taken.

    Clusters are found by k-means with the scores as weights, and the row next to each centre is taken. Rows without a
    usable embedding come after all others.
    """
    size = fitting(size, len(scores))
    kept = best(scores, max(size, min(size * candidates, _MOST_CANDIDATES)), rng)
    # Rows of a memory-mapped file are read where they lie.
    usable = kept[finite_rows(embeddings[kept])] if size else kept
    if len(usable) <= size:
        return filled(usable, scores, size, rng)
    weights = np.asarray(scores, dtype=np.float64)[usable]
    weights = weights - min(0.0, weights.min()) + 1e-6
    rows = read(embeddings, usable)
    numbers, distances = k_means(rows, size, rng, weights)
    picked = usable[nearest_of_each(numbers, distances)]
    picked = picked[np.argsort(-np.asarray(scores)[picked], kind='stable')]
    return filled(picked, scores, size, rng)


def nearest_of_each(clusters: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The row with the smallest distance in each cluster."""
    order = np.lexsort((distances, clusters))
    return order[np.unique(clusters[order], return_index=True)[1]]


def filled(picked: np.ndarray, scores: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """At most `size` of the picked rows; where they are fewer, the best others follow."""
    size = fitting(size, len(scores))
    if len(picked) >= size:
        return picked[:size]
    rest = np.ones(len(scores), dtype=bool)
    rest[picked] = False
    others = np.flatnonzero(rest)
    return np.concatenate([picked, others[best(np.asarray(scores)[others], size - len(picked), rng)]]).astype(np.int64)
