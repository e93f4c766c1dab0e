"""Read many rows a few at a time, so that memory stays bounded whatever the size of the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.pool import Labeled

CHUNK = 8192
# Strategies that hold the tasks against each other look at no more of them, drawn at random.
MOST_COMPARED = 100_000


def chunks(count: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices that cover ``range(count)``."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def by_chunk(count: int, compute: Callable[[slice], np.ndarray], size: int = CHUNK) -> np.ndarray:
    """Concatenate what `compute` gives for each slice; shape (count,)."""
    parts = [compute(part) for part in chunks(count, size)]
    return np.concatenate(parts) if parts else np.empty(0)


def read(rows: np.ndarray, which: slice | np.ndarray) -> np.ndarray:
    """Some rows as float32 in memory; values that are not finite become 0."""
    found = np.array(rows[which], dtype=np.float32)
    return np.nan_to_num(found, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def finite_rows(rows: np.ndarray) -> np.ndarray:
    """Which rows hold only finite values; shape (n,), bool."""
    values = np.asarray(rows) if not isinstance(rows, np.ndarray) else rows
    if values.ndim != 2:
        raise StrategyError(f'rows of numbers are expected, shape (n, d), and not {values.shape}')
    return by_chunk(len(values), lambda part: np.isfinite(values[part]).all(axis=1)).astype(bool)


def squared_distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Between each of `rows` (r, d) and each of `centres` (c, d); shape (r, c), never negative."""
    found = -2.0 * (rows @ centres.T)
    found += np.einsum('ij,ij->i', rows, rows)[:, None]
    found += np.einsum('ij,ij->i', centres, centres)[None, :]
    return np.maximum(found, 0.0, out=found)


def unknown_last(scores: np.ndarray, known: np.ndarray, what: str) -> np.ndarray:
    """Give tasks that nothing is known about the lowest score.

    Raises:
        StrategyError: Nothing is known about any task.
    """
    if not known.any():
        raise StrategyError(f'{what} of no task are usable: all have values that are not finite')
    if known.all():
        return scores
    return np.where(known, scores, scores[known].min())


def covering(labeled: Labeled, width: int) -> np.ndarray:
    """Usable embeddings of labeled tasks, shape (m, width); none when they are not known.

    Raises:
        StrategyError: They have another width than those of the pool.
    """
    rows = labeled.embeddings
    if rows is None or not len(rows):
        return np.empty((0, width), dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise StrategyError(
            f'embeddings of labeled tasks have the shape {rows.shape}, those of the pool {width} columns; '
            'take both from the same version'
        )
    known = finite_rows(rows)
    return rows if known.all() else rows[known]
