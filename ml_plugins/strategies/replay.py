"""Run strategies against each other over tasks whose labels are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.heads import Fit, logistic
from ml_plugins.strategies.statistics import interval_of_means
from ml_plugins.strategies.threads import quiet_threads
from ml_plugins.strategies.walk import Arm, Progress, ReplayData, Steps, Walk

# A replay over fewer says nothing.
FEWEST_TASKS = 20


@dataclass(frozen=True)
class ReplayPoint:
    """Mean held-out accuracy over the seeds at a number of labels, with its 95% interval."""

    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class ReplayCurve:
    """One arm's points.

    Attributes:
        runs: Accuracy of each seed at each point, shape (seeds, points).
        area: Mean of the accuracies of the points: one number for a curve.
    """

    arm: str
    points: tuple[ReplayPoint, ...]
    runs: np.ndarray = field(repr=False, compare=False)

    @property
    def area(self) -> float:
        return float(np.mean([point.accuracy for point in self.points]))

    def labels_to(self, accuracy: float) -> int | None:
        """Labels at which the mean reaches an accuracy; None when it does not."""
        return next((point.labels for point in self.points if point.accuracy >= accuracy), None)

    def at(self, labels: int) -> ReplayPoint:
        """The last point with at most so many labels."""
        return [point for point in self.points if point.labels <= labels][-1]


@dataclass(frozen=True)
class ReplayReport:
    """The curves of all arms, the best first.

    Attributes:
        cancelled: Whether it was cancelled; the curves then hold the seeds that were done for every arm.
        served: For each seed and arm the task numbers in the order in which they were served.
    """

    curves: tuple[ReplayCurve, ...]
    seeds: tuple[int, ...]
    cancelled: bool = False
    served: Mapping[tuple[int, str], tuple[int, ...]] = field(default_factory=dict, repr=False)

    def curve(self, arm: str) -> ReplayCurve:
        """One arm's curve. Raises `StrategyError` for an unknown name."""
        for curve in self.curves:
            if curve.arm == arm:
                return curve
        raise StrategyError(f'there is no arm "{arm}"; there are: {", ".join(curve.arm for curve in self.curves)}')


def run_replay(
    data: ReplayData,
    arms: Sequence[Arm],
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    batch: int = 10,
    most_labels: int = 300,
    fit: Fit = logistic,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ReplayReport:
    """Serve, label, learn and measure again and again, for each seed and arm.

    Until there is a model, an arm whose strategy needs its answers serves random tasks; with a seed they are the same
    for all such arms.

    Args:
        batch: Labels between two points of a curve.
        fit: Makes the model; see `ml_plugins.strategies.heads`.
        progress: Called with steps done, steps in all, and a sentence.
        should_stop: Asked before each step.

    Raises:
        StrategyError: The data cannot be replayed, or a strategy failed; the message names the arm.
    """
    answers, classes = _checked(data, arms, batch)
    runs: dict[str, list[list[float]]] = {arm.name: [] for arm in arms}
    served: dict[tuple[int, str], tuple[int, ...]] = {}
    labels: list[int] = []
    steps = Steps(len(seeds) * len(arms), progress, should_stop)
    with quiet_threads():
        for seed in seeds:
            curves = {}
            for arm in arms:
                walk = Walk(data, answers, classes, seed)
                found = walk.run(arm, batch, most_labels, fit, steps)
                if found is None:
                    return _report(runs, labels, seeds, True, served)
                labels, curves[arm.name] = found
                served[seed, arm.name] = tuple(walk.served_ids())
            for name, accuracies in curves.items():
                runs[name].append(accuracies)
    return _report(runs, labels, seeds, False, served)


def _checked(data: ReplayData, arms: Sequence[Arm], batch: int) -> tuple[np.ndarray, int]:
    names = [arm.name for arm in arms]
    if not names or len(set(names)) != len(names):
        raise StrategyError(f'give the arms different names, at least one; these were given: {", ".join(names)}')
    if batch < 1:
        raise StrategyError(f'a batch of {batch} labels gives no curve; set 1 or more')
    if len(data.features) != len(data.answers):
        raise StrategyError(f'there are {len(data.features)} rows of features and {len(data.answers)} answers')
    if len(data.answers) < FEWEST_TASKS:
        raise StrategyError(f'{len(data.answers)} labeled tasks are too few for a replay; label {FEWEST_TASKS} or more')
    labels, answers = np.unique(np.asarray(data.answers).astype(str), return_inverse=True)
    if len(labels) < 2:
        raise StrategyError(f'all tasks have the label "{labels[0]}"; a replay needs two labels or more')
    return answers, len(labels)


def _report(
    runs: Mapping[str, list[list[float]]],
    labels: Sequence[int],
    seeds: Sequence[int],
    cancelled: bool,
    served: Mapping[tuple[int, str], tuple[int, ...]],
) -> ReplayReport:
    done = min(map(len, runs.values()))
    curves = []
    for name, found in runs.items() if done else ():
        values = np.asarray(found[:done])
        low, high = interval_of_means(values)
        points = zip(labels, values.mean(axis=0), low, high, strict=True)
        curves.append(ReplayCurve(name, tuple(ReplayPoint(n, *map(float, rest)) for n, *rest in points), values))
    curves.sort(key=lambda curve: -curve.area)
    kept = {key: value for key, value in served.items() if key[0] in seeds[:done]}
    return ReplayReport(tuple(curves), tuple(seeds[:done]), cancelled, kept)
