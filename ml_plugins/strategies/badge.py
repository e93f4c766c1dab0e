"""BADGE: a batch whose gradients are long and point in different directions."""

from __future__ import annotations

import numpy as np

from ml_plugins.strategies import measures
from ml_plugins.strategies.batches import best, filled, fitting
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.rows import MOST_COMPARED, by_chunk, finite_rows, read, unknown_last


class Badge(QueryStrategy):
    """k-means++ on the gradients that the last layer would get from the model's own guess.

    The gradient of a task is the product of its error (probabilities minus the guess, C numbers) and its embedding with
    a 1 (d + 1 numbers). It is never built: the product of two gradients is the product of the two products, which
    costs C + d instead of C * d steps.
    """

    name = 'badge'
    title = 'BADGE'
    help = 'Tasks that would change the model most, in different ways; good in large batches.'
    needs = Needs(probabilities=True, embeddings=True)

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Length of the gradient."""
        errors, known = _errors(pool)
        known &= finite_rows(pool.embeddings)
        lengths = np.sqrt(_squares(errors) * _squares_of(pool.embeddings))
        return unknown_last(lengths, known, 'probabilities and embeddings')

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
        rows = _looked_at(scores, rng)
        errors, known = _errors(pool.only(rows) if len(rows) < len(pool) else pool)
        known &= finite_rows(pool.embeddings[rows])
        rows, errors = rows[known], errors[known]
        picked = rows[_plus_plus(errors, read(pool.embeddings, rows), min(size, len(rows)), rng)]
        return filled(picked, scores, size, rng)


def _looked_at(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows to choose among: all, or of a large pool half the longest gradients and half any others."""
    if len(scores) <= MOST_COMPARED:
        return np.arange(len(scores))
    longest = best(scores, MOST_COMPARED // 2, rng)
    others = np.setdiff1d(np.arange(len(scores)), longest)
    return np.sort(np.concatenate([longest, rng.choice(others, MOST_COMPARED // 2, replace=False)]))


def _errors(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities minus the guess, of all controls side by side; and the tasks of which they are known."""
    parts, known = [], np.ones(len(pool), dtype=bool)
    for name, found in pool.probabilities.items():
        values = np.asarray(found, dtype=np.float32)
        if measures.is_multi_label(name, values, pool):
            known &= np.isfinite(values).all(axis=1)
            clean = np.clip(np.nan_to_num(values), 0.0, 1.0)
            parts.append(clean - (clean >= 0.5))
            continue
        known &= measures.usable_rows(values)
        clean = measures.normalised(values)
        clean[np.arange(len(clean)), clean.argmax(axis=1)] -= 1.0
        parts.append(clean)
    return np.concatenate(parts, axis=1), known


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum('ij,ij->i', rows, rows).astype(np.float64)


def _squares_of(embeddings: np.ndarray) -> np.ndarray:
    return by_chunk(len(embeddings), lambda part: _squares(read(embeddings, part)) + 1.0)


def _plus_plus(errors: np.ndarray, rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++ on the gradients; the longest first, then by squared distance to the nearest that is picked."""
    if not size:
        return np.empty(0, dtype=np.int64)
    lengths = _squares(errors) * (_squares(rows) + 1.0)
    distances = np.full(len(rows), np.inf)
    picked = [int(lengths.argmax())]
    while len(picked) < size:
        last = picked[-1]
        products = (errors @ errors[last]).astype(np.float64) * (rows @ rows[last] + 1.0)
        np.minimum(distances, np.maximum(lengths + lengths[last] - 2.0 * products, 0.0), out=distances)
        distances[picked] = 0.0
        # Rounding leaves a little between duplicates; without this they would be drawn in the end.
        odds = np.where(distances > 1e-6 * lengths[picked[0]], distances, 0.0)
        total = odds.sum()
        if total <= 0:
            break
        picked.append(int(np.searchsorted(np.cumsum(odds), rng.random() * total, side='right').clip(0, len(odds) - 1)))
    return np.array(picked, dtype=np.int64)
