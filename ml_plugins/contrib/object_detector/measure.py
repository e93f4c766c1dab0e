"""Mean average precision, as it is usual for detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Boxes:
    """Boxes of one picture, as corners, with their labels; scores of those that were predicted.

    Attributes:
        places: Of shape (n, 4).
        scores: Of shape (n,); None for the truth.
    """

    places: np.ndarray
    labels: Sequence[str]
    scores: np.ndarray | None = None


def mean_average_precision(found: Sequence[Boxes], truth: Sequence[Boxes], least_overlap: float = 0.5) -> float:
    """The mean over the labels in the truth of the area under precision by recall.

    Args:
        found: Predicted boxes by picture.
        truth: The same for what is right.
        least_overlap: Intersection over union from which a box counts as found; each box of the truth counts once.
    """
    labels = sorted({label for boxes in truth for label in boxes.labels})
    return (
        float(np.mean([_average_precision(found, truth, label, least_overlap) for label in labels])) if labels else 0.0
    )


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of each box with each other one, of shape (len(one), len(other))."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    together = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, together, out=np.zeros_like(shared), where=together > 0)


def _average_precision(found: Sequence[Boxes], truth: Sequence[Boxes], label: str, least: float) -> float:
    scores, hits, count = [], [], 0
    for given, right in zip(found, truth, strict=True):
        wanted = right.places[[name == label for name in right.labels]]
        mine = np.flatnonzero([name == label for name in given.labels])
        mine = mine[np.argsort(-given.scores[mine], kind='stable')] if len(mine) else mine
        count += len(wanted)
        free = np.ones(len(wanted), bool)
        table = overlaps(given.places[mine], wanted)
        for row, place in zip(table, mine, strict=True):
            open_ = np.where(free, row, -1)
            best = int(open_.argmax()) if len(open_) else -1
            hit = best >= 0 and open_[best] >= least
            if hit:
                free[best] = False
            scores.append(given.scores[place])
            hits.append(hit)
    if not scores:
        return 0.0
    right = np.array(hits)[np.argsort(-np.array(scores), kind='stable')]
    recall = np.cumsum(right) / count
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    # Precision at a recall is the best that is to be had at that recall or a higher one.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * best))
