"""The learning curve: how good each version is, against the labels it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.models import ModelVersion


@dataclass(frozen=True)
class CurvePoint:
    """One measured version.

    Attributes:
        version: Its number.
        labels: Labeled tasks that it was trained on.
        score: Mean agreement with the held-out labels, 0..1.
        low: Lower end of the 95% interval.
        high: Upper end.
    """

    version: int
    labels: int
    score: float
    low: float
    high: float


def learning_curve(project: Any, backend: str) -> list[CurvePoint]:
    """A point for each version that was measured, oldest first; what was uploaded learned from other labels."""
    rows = ModelVersion.objects.filter(project=project, backend=backend, score__isnull=False, trained_on__gt=0)
    rows = rows.exclude(state=ModelVersion.State.FAILED).exclude(trigger='uploaded').order_by('number')
    return [CurvePoint(*row) for row in rows.values_list('number', 'trained_on', 'score', 'score_low', 'score_high')]
