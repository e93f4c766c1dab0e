"""The bundled stopping criteria."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies.gain import Measured, forecast_gain
from ml_plugins.strategies.stopping import Advice, History, Round, StoppingCriterion

_COVERAGE = (
    Param('per_class', 5, 'Labels that each class must have before a stop is advised.', minimum=0),
    Param('explored', 1, 'Tasks served at random that must be labeled before a stop is advised.', minimum=0),
)


class _OnPredictions(StoppingCriterion):
    """A criterion that holds each model's answers to the stop set against those of the model before."""

    def _pairs(self, history: History) -> list[tuple[np.ndarray, np.ndarray]]:
        """Answers of the last models and of those before them to the same tasks; the newest pair last."""
        rounds = [item for item in history.rounds if item.predictions is not None and item.task_ids is not None]
        pairs = itertools.pairwise(rounds)
        return [_common(*pair) for pair in list(pairs)[-int(self.param_values['rounds']) :]]

    def _too_early(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
        wanted = int(self.param_values['rounds'])
        if len(pairs) < wanted:
            return f'{wanted + 1} models are needed to say, and there are {len(pairs) + 1 if pairs else 0}.'
        if min(len(first) for first, _second in pairs) == 0:
            return 'The last models have not answered the same tasks.'
        return ''


class PredictionStability(_OnPredictions):
    """Cohen's kappa of consecutive models on a stop set (Bloodgood and Vijay-Shanker)."""

    name = 'prediction_stability'
    title = 'Prediction stability'
    help = 'Stops when consecutive models agree on tasks that nobody labeled.'
    params = (
        Param('kappa', 0.99, 'Mean agreement beyond chance to reach.', minimum=0.5, maximum=1),
        Param('rounds', 3, 'Pairs of consecutive models over which the mean is taken.', minimum=1, maximum=20),
        *_COVERAGE,
    )

    def look(self, history: History) -> Advice:
        """Kappa is biased upward where one class is frequent, so classes must be covered first."""
        pairs = self._pairs(history)
        if reason := self._too_early(pairs):
            return Advice(False, reason)
        value = float(np.mean([kappa(*pair) for pair in pairs]))
        wanted = float(self.param_values['kappa'])
        sentence = (
            f'Consecutive models agree with a kappa of {value:.3f} over {len(pairs)} rounds; {wanted:g} is asked.'
        )
        if value < wanted:
            return Advice(False, sentence, value)
        return _unless_uncovered(history, self.param_values, sentence, value)


class ClassificationChange(_OnPredictions):
    """No answer changed from one model to the next."""

    name = 'classification_change'
    title = 'Classification change'
    help = 'Stops when new models answer as the ones before.'
    params = (
        Param('share', 0.0, 'Share of tasks whose answer may change.', minimum=0, maximum=0.5),
        Param('rounds', 1, 'Changes of the model in a row that must leave the answers as they are.', minimum=1),
        *_COVERAGE,
    )

    def look(self, history: History) -> Advice:
        pairs = self._pairs(history)
        if reason := self._too_early(pairs):
            return Advice(False, reason)
        value = max(float((first != second).mean()) for first, second in pairs)
        wanted = float(self.param_values['share'])
        sentence = f'At most {value:.1%} of the answers changed from model to model; {wanted:.1%} is asked.'
        if value > wanted:
            return Advice(False, sentence, value)
        return _unless_uncovered(history, self.param_values, sentence, value)


class OverallUncertainty(StoppingCriterion):
    """The model is sure of almost all that is unlabeled."""

    name = 'overall_uncertainty'
    title = 'Overall uncertainty'
    help = 'Stops when the mean normalised entropy of the unlabeled tasks is small.'
    params = (Param('below', 0.05, 'Mean normalised entropy to fall below.', minimum=0, maximum=1), *_COVERAGE)

    def look(self, history: History) -> Advice:
        found = [item.uncertainty for item in history.rounds if item.uncertainty is not None]
        if not found or not math.isfinite(found[-1]):
            return Advice(False, 'No model has said yet how sure it is of the unlabeled tasks.')
        value, wanted = float(found[-1]), float(self.param_values['below'])
        sentence = f'The mean uncertainty of the unlabeled tasks is {value:.3f}; below {wanted:g} is asked.'
        if value >= wanted:
            return Advice(False, sentence, value)
        return _unless_uncovered(history, self.param_values, sentence, value)


class MarginalGain(StoppingCriterion):
    """What the next labels will bring, by a power law through the learning curve."""

    name = 'marginal_gain'
    title = 'Marginal gain'
    help = 'Stops when the next labels would raise the held-out score by less than they are worth.'
    params = (
        Param('points', 0.5, 'Points (of 100) that the next labels must bring.', minimum=0, maximum=100),
        Param('ahead', 100, 'How many next labels.', minimum=1),
    )

    def look(self, history: History) -> Advice:
        """Advises a stop when even the upper end of the expected gain's interval is below what is asked."""
        measured = [_measured(item) for item in history.rounds if item.score is not None]
        forecast = forecast_gain(measured, int(self.param_values['ahead']))
        if forecast.gain is None:
            return Advice(False, forecast.sentence)
        wanted = float(self.param_values['points'])
        stop = 100 * forecast.expected_high < wanted
        asked = f' That is less than the {wanted:g} points asked.' if stop else ''
        return Advice(stop, forecast.sentence + asked, 100 * forecast.gain)


class Budget(StoppingCriterion):
    """A number of labels."""

    name = 'budget'
    title = 'Budget'
    help = 'Stops at a number of labels.'
    params = (Param('labels', 1000, 'Labels to stop at.', minimum=1),)

    def look(self, history: History) -> Advice:
        wanted = int(self.param_values['labels'])
        return Advice(history.labels >= wanted, f'{history.labels} of {wanted} labels are given.', history.labels)


def kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Cohen's kappa of two sequences of answers; 1 where both give one and the same answer to everything."""
    names, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = numbers[: len(first)], numbers[len(first) :]
    agreed = float((one == other).mean())
    shares = [np.bincount(part, minlength=len(names)) / len(part) for part in (one, other)]
    chance = float(shares[0] @ shares[1])
    return 1.0 if chance >= 1.0 else (agreed - chance) / (1.0 - chance)


def _common(before: Round, after: Round) -> tuple[np.ndarray, np.ndarray]:
    _ids, rows, others = np.intersect1d(before.task_ids, after.task_ids, return_indices=True)
    return np.asarray(before.predictions)[rows], np.asarray(after.predictions)[others]


def _measured(item: Round) -> Measured:
    width = None
    if item.score_low is not None and item.score_high is not None:
        width = (item.score_high - item.score_low) / 3.92
    return Measured(item.labels, float(item.score), width)


def _unless_uncovered(history: History, values: dict, sentence: str, value: float) -> Advice:
    """A stop, unless a class or the tasks outside the model's interest have hardly been looked at."""
    fewest, wanted = history.fewest_of_a_class, int(values['per_class'])
    if fewest is not None and fewest < wanted:
        return Advice(False, f'{sentence} But a class has only {fewest} labels; {wanted} are asked.', value)
    explored, needed = history.explored, int(values['explored'])
    if explored is not None and explored < needed:
        return Advice(
            False, f'{sentence} But {explored} tasks served at random are labeled; {needed} are asked.', value
        )
    return Advice(True, sentence, value)
