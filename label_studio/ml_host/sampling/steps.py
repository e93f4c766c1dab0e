"""A batch whose first tasks are a batch by themselves: the rest is served only if no new version comes in time."""

from __future__ import annotations

import numpy as np

from ml_plugins.strategies import Labeled, Picked, Pool, QueryStrategy
from ml_plugins.strategies.exploring import choose


def choose_in_steps(
    strategy: QueryStrategy,
    pool: Pool,
    labeled: Labeled,
    first: int,
    size: int,
    rng: np.random.Generator,
    share: float,
    scores: np.ndarray | None = None,
    known: Pool | None = None,
) -> Picked:
    """The next tasks. The first ten of fifty that differ are worth less than ten that were chosen to differ.

    Args:
        first: Tasks that are labeled until the next version comes; 0 chooses all at once.
        size: Tasks together.
        known: What the model said, for the embeddings of the first ones: the others are to differ from them as from
            labeled ones.
    """
    head = choose(strategy, pool, labeled, min(first, size), rng, share, scores)
    if len(head) >= min(size, len(pool)):
        return head
    covered = _labeled_too(labeled, known, pool.task_ids[head.indices]) if len(head) else labeled
    tail = choose(strategy, pool, covered, size, rng, share, scores)
    left = np.flatnonzero(~np.isin(tail.indices, head.indices))[: size - len(head)]
    return Picked(
        np.concatenate([head.indices, tail.indices[left]]),
        np.concatenate([head.propensities, tail.propensities[left]]),
        np.concatenate([head.explored, tail.explored[left]]),
    )


def _labeled_too(labeled: Labeled, known: Pool | None, task_ids: np.ndarray) -> Labeled:
    """As if these tasks had been labeled, nobody knows how."""
    answers = {name: [*given, *([] for _ in task_ids)] for name, given in labeled.answers.items()}
    embeddings = None
    if known is not None and known.embeddings is not None:
        width = known.embeddings.shape[1]
        before = np.full((len(labeled), width), np.nan) if labeled.embeddings is None else labeled.embeddings
        own = np.full((len(task_ids), width), np.nan)
        at = np.minimum(np.searchsorted(known.task_ids, task_ids), len(known) - 1)
        there = known.task_ids[at] == task_ids
        own[there] = known.embeddings[at[there]]
        embeddings = np.concatenate([before, own])
    return Labeled(np.concatenate([labeled.task_ids, task_ids]), answers, embeddings)
