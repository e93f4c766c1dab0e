"""The models of a project as stopping criteria look at them: what each learned from, what it answers, how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.quality.answers import answers_of

MOST_ROUNDS = 60
# Answers of more models than this are not read.
MOST_ANSWERED = 12


@dataclass(frozen=True)
class Model:
    """One version.

    Attributes:
        labels: Labeled tasks that it learned from.
        score: Held-out score, with its 95% interval; None where nothing was held out.
        answers: What it says on the held-out tasks; None where that is not known.
    """

    number: int
    labels: int
    score: float | None = None
    low: float | None = None
    high: float | None = None
    answers: Mapping[int, str] | None = None


def models_of(row: ProjectBackend) -> list[Model]:
    """The newest versions that were trained here, oldest first."""
    rows = ModelVersion.objects.filter(project=row.project_id, backend=row.backend, trained_on__gt=0)
    rows = rows.exclude(state=ModelVersion.State.FAILED).exclude(trigger='uploaded').order_by('-number')[:MOST_ROUNDS]
    found = [
        Model(
            item.number,
            item.trained_on,
            item.score,
            item.score_low,
            item.score_high,
            _answers(item) if place < MOST_ANSWERED else None,
        )
        for place, item in enumerate(rows)
    ]
    return found[::-1]


def _answers(version: ModelVersion) -> dict[int, str] | None:
    by_task = answers_of(version).by_task
    return {task: _words(item.answer) for task, item in by_task.items()} or None


def _words(result: Sequence[Mapping[str, Any]]) -> str:
    """Which labels an answer gives: places of boxes and spans change with every model."""
    found = set()
    for region in result:
        labels = (region.get('value') or {}).get(region.get('type', ''))
        found |= {f'{region.get("from_name")}={label}' for label in labels} if isinstance(labels, list) else set()
    return '|'.join(sorted(found))
