"""What a new version is worth, as it crosses from the room that measures to the one that publishes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """Mean agreement of a version with the held-out labels.

    Attributes:
        value: Mean over tasks, 0..1.
        low: Lower end of its 95% interval.
        high: Upper end.
        tasks: Number of held-out tasks.
    """

    value: float
    low: float
    high: float
    tasks: int


@dataclass(frozen=True)
class Examination:
    """Outcome of measuring a new version and holding it against the one in service.

    Attributes:
        serve: Whether it goes into service.
        reason: Why or why not, a sentence for the page.
        score: None when nothing is held out.
        answers: Packed answers on the held-out tasks, for `Evaluation.content`; None when nothing is held out.
        failed: It cannot be loaded or cannot predict at all; such a version is kept, and never served.
    """

    serve: bool
    reason: str
    score: Score | None = None
    answers: bytes | None = None
    failed: bool = False
