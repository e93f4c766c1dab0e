"""One strategy walking through tasks whose labels are known, with one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.exploring import choose
from ml_plugins.strategies.heads import Fit, Predict
from ml_plugins.strategies.pool import Labeled, Pool

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ReplayData:
    """Labeled tasks.

    Attributes:
        features: What the model learns from, shape (n, d).
        answers: Labels, shape (n,).
        embeddings: What strategies compare tasks by, shape (n, d); the features when None.
        has_embeddings: False where the model gives none; strategies then get none, whatever the features are.
        held_out: Tasks that the model is measured on and that are never served, shape (n,), bool; for each seed another
            `test_share` of the tasks when None.
        task_ids: Task numbers; row numbers when None.
        test_share: Share of tasks that are held out.
    """

    features: np.ndarray
    answers: Sequence[Any]
    embeddings: np.ndarray | None = None
    held_out: np.ndarray | None = None
    task_ids: np.ndarray | None = None
    test_share: float = 0.3
    has_embeddings: bool = True


@dataclass(frozen=True)
class Arm:
    """A strategy at work in one way.

    Attributes:
        name: For the curve.
        every: Labels after which the model is renewed and scores everything again; None for the batch of the replay.
        share: Of tasks that are served at random.
    """

    name: str
    strategy: QueryStrategy
    every: int | None = None
    share: float = 0.0


class Steps:
    """Counts walks, and parts of them, for the progress bar."""

    def __init__(self, walks: int, progress: Progress | None, should_stop: Callable[[], bool] | None) -> None:
        self.walks, self.progress, self.should_stop = walks, progress, should_stop
        self.done = 0

    def go_on(self, sentence: str, number: int, of: int) -> bool:
        if self.should_stop is not None and self.should_stop():
            return False
        if self.progress is not None:
            self.progress(self.done * of + number, self.walks * of, sentence)
        return True


class Walk:
    """One arm with one seed."""

    def __init__(self, data: ReplayData, answers: np.ndarray, classes: int, seed: int) -> None:
        self.data, self.answers, self.classes, self.seed = data, answers, classes, seed
        self.features = np.asarray(data.features)
        self.embeddings = self.features if data.embeddings is None else data.embeddings
        if not data.has_embeddings:
            self.embeddings = None
        self.task_ids = np.arange(len(answers)) if data.task_ids is None else np.asarray(data.task_ids)
        self.test = _test_rows(data, len(answers), seed)
        self.left = np.flatnonzero(~self.test)
        self.served: list[int] = []

    def run(
        self, arm: Arm, batch: int, most_labels: int, fit: Fit, steps: Steps
    ) -> tuple[list[int], list[float]] | None:
        """Labels and accuracy at each point; None when cancelled."""
        rng, predict, queue = np.random.default_rng(self.seed), None, []
        points = range(batch, min(most_labels, len(self.left)) + 1, batch)
        labels, accuracies = [], []
        for number, count in enumerate(points):
            if not steps.go_on(f'{arm.name}, seed {self.seed}: {count} labels', number, len(points)):
                return None
            if len(queue) < batch:
                # The batch at the start is one of the replay's: no arm waits with nothing known.
                size = batch if not self.served else max(batch, arm.every or batch)
                queue = self._queue(arm, size, predict, rng)
            now, queue = queue[:batch], queue[batch:]
            self.served += now
            predict = fit(self.features[self.served], self.answers[self.served], self.classes)
            labels.append(count)
            accuracies.append(self._accuracy(predict))
        steps.done += 1
        return labels, accuracies

    def served_ids(self) -> list[int]:
        return [int(number) for number in self.task_ids[self.served]]

    def _queue(self, arm: Arm, size: int, predict: Predict | None, rng: np.random.Generator) -> list[int]:
        left = self.left[~np.isin(self.left, self.served)]
        probabilities = None if predict is None else {'answer': predict(self.features[left])}
        pool = Pool(self.task_ids[left], probabilities, self._embeddings(left))
        labeled = Labeled(
            self.task_ids[self.served],
            {'answer': [int(answer) for answer in self.answers[self.served]]},
            self._embeddings(self.served),
        )
        if predict is None and arm.strategy.why_not(pool.available):
            start = np.random.default_rng(self.seed)
            return left[start.permutation(len(left))[:size]].tolist()
        try:
            picked = choose(arm.strategy, pool, labeled, size, rng, arm.share)
        except Exception as error:
            raise StrategyError(f'arm "{arm.name}" failed at {len(self.served)} labels: {error}') from error
        return left[picked.indices].tolist()

    def _embeddings(self, rows: np.ndarray | list[int]) -> np.ndarray | None:
        return None if self.embeddings is None else self.embeddings[rows]

    def _accuracy(self, predict: Predict) -> float:
        guesses = predict(self.features[self.test]).argmax(axis=1)
        return float((guesses == self.answers[self.test]).mean())


def _test_rows(data: ReplayData, count: int, seed: int) -> np.ndarray:
    if data.held_out is not None:
        return np.asarray(data.held_out, dtype=bool)
    test = np.zeros(count, dtype=bool)
    order = np.random.default_rng(seed).permutation(count)
    test[order[: max(1, round(count * data.test_share))]] = True
    return test
