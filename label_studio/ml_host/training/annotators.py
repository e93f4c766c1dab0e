"""What is learned from a task that several people labeled."""

from __future__ import annotations

from collections.abc import Sequence

from ml_plugins.agreement import agreement
from ml_plugins.types import Annotation


def learned_from(annotations: Sequence[Annotation], rule: str) -> list[Annotation]:
    """The annotations of one task to learn from; ground truth goes before all others.

    Args:
        annotations: Submitted ones, oldest first.
        rule: One of `learning.settings.ANNOTATORS`.
    """
    pool = [item for item in annotations if item.ground_truth] or list(annotations)
    if rule == 'all' or not pool:
        return pool
    # Of two none has a majority.
    return [pool[-1] if rule == 'newest' or len(pool) < 3 else _shared_most(pool)]


def _shared_most(pool: Sequence[Annotation]) -> Annotation:
    """The annotation that the others agree with most; of several the newest."""
    sums = [0.0] * len(pool)
    for one in range(len(pool)):
        for other in range(one):
            share = agreement(pool[one].result, pool[other].result)
            sums[one] += share
            sums[other] += share
    # Sums of the same numbers in another order differ in the last digits.
    return pool[max(range(len(pool)), key=lambda place: (round(sums[place], 9), place))]
