"""A model that gives numbers for active learning, and packages with strategies of their own."""

import textwrap

import numpy as np

from ml_plugins import MLBackend, Prediction, Serves

STRATEGY = """
import os, time
import numpy as np
from ml_plugins.strategies import QueryStrategy


class Strategy(QueryStrategy):
    name = '{name}'
    title = 'Of a test'

    def score(self, pool, labeled, rng):
        {score}
"""

CRITERION = """
from ml_plugins.strategies import StoppingCriterion


class Criterion(StoppingCriterion):
    name = '{name}'
    title = 'Of a test'

    def look(self, history):
        {look}
"""


class SureBackend(MLBackend):
    """The surer, the higher the task's number; the embedding says the same."""

    serves = (Serves('Choices', 'Image'),)

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Image')
        return [self._say(control, int(task.data['image'].rpartition('/')[2].partition('.')[0])) for task in tasks]

    def _say(self, control, number):
        sure = 0.5 + min(number, 1000) / 2002
        probabilities = {control.name: np.array([sure, 1 - sure])}
        embedding = np.array([np.cos(number), np.sin(number), number / 100])
        return Prediction([control.choices('cat')], sure, probabilities, embedding)


class OneClassBackend(SureBackend):
    """Has seen one class so far, and is sure of it."""

    def _say(self, control, number):
        said = super()._say(control, number)
        return Prediction(said.regions, 1.0, {control.name: np.array([1.0])}, said.embedding)


def install_strategy(folder, name, score):
    """A package with a strategy, in a folder that goes on the path; `score` is the body of its method."""
    _install(folder, name, STRATEGY.format(name=name, score=textwrap.dedent(score)), 'query_strategies', 'Strategy')


def install_criterion(folder, name, look):
    """A package with a stopping criterion; `look` is the body of its method."""
    _install(folder, name, CRITERION.format(name=name, look=look), 'stopping_criteria', 'Criterion')


def _install(folder, name, code, group, kind):
    (folder / f'{name}_package.py').write_text(code)
    info = folder / f'{name}_package-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(f'[label_studio.{group}]\n{name} = {name}_package:{kind}\n')


class PretrainedBackend(SureBackend):
    """Cannot predict before its first version, but says which tasks are alike: those with equal last digits."""

    needs_training = True
    embeds_untrained = True

    def predict(self, tasks, interaction=None):
        numbers = [int(task.data['image'].rpartition('/')[2].partition('.')[0]) for task in tasks]
        return [Prediction(embedding=np.eye(10)[number % 10] + number / 1e4) for number in numbers]

    def fit(self, dataset, run):
        raise AssertionError('nobody trains here')
