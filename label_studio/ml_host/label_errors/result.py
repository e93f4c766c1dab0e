"""What a look for label errors found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Suspect:
    """A label that a model contradicts which did not learn from it.

    Attributes:
        user_id: Who gave it.
        confidence: Probability of the suggested label.
        doubt: That probability minus the one of the given label.
    """

    task_id: int
    annotation_id: int
    user_id: int | None
    given: str
    suggested: str
    confidence: float
    doubt: float


@dataclass(frozen=True)
class Found:
    """Everything.

    Attributes:
        control: Name of the control whose labels were looked at.
        features: What tasks were compared by, in words.
        version: Number of the version that gave them; None before the first.
        tasks: Labeled tasks that were looked at.
        left_out: Labeled tasks that were not, since their label is too rare, or the version says nothing of them.
        classes: Different labels.
        annotations: Submitted annotations of the project then.
        read_at: When the labels were read, in ISO format.
        found: Suspected labels in all.
        dismissed: Further ones, of which somebody has said that they are right.
        suspects: The most doubtful ones, those first.
    """

    control: str
    features: str
    version: int | None
    tasks: int
    left_out: int
    classes: int
    annotations: int
    read_at: str
    found: int
    dismissed: int
    suspects: Sequence[Suspect]

    def as_json(self) -> dict[str, Any]:
        """For the run's row."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Found:
        """From the row of a finished run."""
        return cls(**{**stored, 'suspects': [Suspect(**item) for item in stored['suspects']]})
