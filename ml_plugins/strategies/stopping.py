"""When to stop labeling: what criteria look at, and what they say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ml_plugins.params import Param, resolve_params


@dataclass(frozen=True)
class Round:
    """One model of a project, oldest first in a history.

    Attributes:
        labels: How many labels it learned from.
        task_ids: Tasks of the stop set: the same unlabeled or held-out tasks in every round, as far as they exist.
        predictions: Its answer to each of them, any values that can be compared, shape (tasks,).
        uncertainty: Mean normalised entropy over the pool, 0..1.
        score: Held-out score, 0..1.
        score_low: Lower end of the score's 95% interval.
        score_high: Its upper end.
    """

    labels: int
    task_ids: np.ndarray | None = None
    predictions: np.ndarray | None = None
    uncertainty: float | None = None
    score: float | None = None
    score_low: float | None = None
    score_high: float | None = None


@dataclass(frozen=True)
class History:
    """What has happened in a project.

    Attributes:
        rounds: The models, oldest first.
        labels: Labels now.
        fewest_of_a_class: Labels of the rarest class of the label config; None when that is not known.
        explored: Labeled tasks that were served at random; None when that is not known.
    """

    rounds: Sequence[Round] = ()
    labels: int = 0
    fewest_of_a_class: int | None = None
    explored: int | None = None


@dataclass(frozen=True)
class Advice:
    """What a criterion says.

    Attributes:
        stop: Whether more labels are not worth it by this criterion.
        sentence: For people, with numbers; says what is missing where nothing can be said.
        value: What it is about, for a chart; None when it cannot be told yet.
    """

    stop: bool
    sentence: str
    value: float | None = None


class StoppingCriterion(ABC):
    """Says whether labeling may stop.

    Attributes:
        name: A Python identifier; the entry point has the same.
        title: Its name for people.
        help: One sentence for people.
        params: What a project may set.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    help: ClassVar[str] = ''
    params: ClassVar[Sequence[Param]] = ()

    def __init__(self, **values: Any) -> None:
        """Take values of `params`; raises `ParameterError`."""
        self.param_values = resolve_params(self.params, values)

    @abstractmethod
    def look(self, history: History) -> Advice:
        """Look at a project's history; never raises for one that is short or has gaps."""
