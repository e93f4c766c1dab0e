"""What a replay has found so far: the accuracies of every walk, kept so that it can go on after any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class ArmFound:
    """One strategy.

    Attributes:
        runs: Accuracies at the numbers of labels, by seed.
        seconds: What it took, learning included.
        error: Why it takes no further part; empty when it does.
        lost: How often its process was lost while it was at work.
    """

    name: str
    title: str
    runs: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ''
    lost: int = 0


@dataclass
class Found:
    """Everything.

    Attributes:
        control: Name of the control whose labels are replayed.
        features: What tasks are compared by and learned from, in words.
        version: Name in predictions of the version that gave them.
        tasks: Labeled tasks that were replayed.
        of_tasks: Out of so many.
        classes: Different labels.
        digest: Changes with the tasks, their labels and features.
        labels: Numbers of labels at which accuracy was measured.
        walking: The strategy that is at work.
    """

    control: str
    features: str
    version: str
    tasks: int
    of_tasks: int
    classes: int
    digest: str
    labels: Sequence[int] = ()
    arms: list[ArmFound] = field(default_factory=list)
    walking: str = ''

    def as_json(self) -> dict[str, Any]:
        """For the run's row."""
        return asdict(self)

    def resume(self, before: Mapping[str, Any]) -> None:
        """Take over what an earlier attempt found in the same data."""
        if before.get('digest') != self.digest:
            return
        kept = {item['name']: ArmFound(**item) for item in before.get('arms', ())}
        self.arms = [kept.get(arm.name, arm) for arm in self.arms]
        self.labels = before.get('labels', ())
        for arm in self.arms:
            if arm.name == before.get('walking'):
                arm.lost += 1
