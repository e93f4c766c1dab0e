"""k-means by scikit-learn, for pools of any size."""

from __future__ import annotations

import warnings

import numpy as np

from ml_plugins.strategies.rows import CHUNK, chunks, read, squared_distances
from ml_plugins.strategies.threads import one_thread

# Centres are found with at most so many rows; the others only join the nearest.
MOST_FITTED = 20_000
# With more rows times clusters, the quick variant of k-means is taken.
_SLOW = 5_000_000


def centres_of(rows: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray | None = None) -> np.ndarray:
    """Centres of at most `count` clusters of rows (n, d); fewer where fewer rows differ."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    count = min(count, len(rows))
    seed = int(rng.integers(2**31 - 1))
    if len(rows) * count > _SLOW:
        model = MiniBatchKMeans(count, batch_size=4096, n_init=1, max_iter=30, random_state=seed)
    else:
        model = KMeans(count, n_init=1, max_iter=100, random_state=seed)
    with one_thread(len(rows)), warnings.catch_warnings():
        # Fewer different rows than clusters is nothing to warn of: duplicates are common, and callers fill up.
        warnings.simplefilter('ignore', ConvergenceWarning)
        model.fit(rows, sample_weight=weights)
    return model.cluster_centers_.astype(np.float32)


def k_means(
    rows: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster rows (n, d): the cluster number of each, and its squared distance to the centre."""
    return nearest(rows, centres_of(rows, count, rng, weights))


def nearest(embeddings: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each row, and the squared distance to it; read in chunks."""
    numbers = np.empty(len(embeddings), dtype=np.int64)
    distances = np.empty(len(embeddings), dtype=np.float32)
    for part in chunks(len(embeddings), max(256, min(CHUNK, 4_000_000 // max(1, len(centres))))):
        found = squared_distances(read(embeddings, part), centres)
        numbers[part] = found.argmin(axis=1)
        distances[part] = found[np.arange(len(found)), numbers[part]]
    return numbers, distances
