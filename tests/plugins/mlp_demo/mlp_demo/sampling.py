"""What to label next, and when to stop, in the demo's own way."""

from __future__ import annotations

import numpy as np

from ml_plugins import Param
from ml_plugins.strategies import Advice, History, Labeled, Needs, Pool, QueryStrategy, StoppingCriterion


class OneLabel(QueryStrategy):
    """Tasks that may have one certain label: to find examples of a rare one."""

    name = 'demo_one_label'
    title = 'One label first'
    help = 'Tasks that the model gives one certain label.'
    needs = Needs(probabilities=True)
    params = (Param('number', 0, 'Position of the label in the label config, from 0.', minimum=0),)

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """The label's probability; a control that has fewer labels says nothing."""
        number = int(self.param_values['number'])
        columns = [rows[:, number] for rows in pool.probabilities.values() if rows.shape[1] > number]
        return np.nan_to_num(sum(columns)) if columns else np.zeros(len(pool))


class GoodEnough(StoppingCriterion):
    """A held-out score."""

    name = 'demo_good_enough'
    title = 'Good enough'
    help = 'Stops at a held-out score.'
    params = (Param('score', 0.95, 'Held-out score to reach.', minimum=0, maximum=1),)

    def look(self, history: History) -> Advice:
        """The newest model that was measured counts."""
        scores = [item.score for item in history.rounds if item.score is not None]
        if not scores:
            return Advice(False, 'No model has been measured yet.')
        wanted = float(self.param_values['score'])
        return Advice(scores[-1] >= wanted, f'The score is {scores[-1]:.2f}; {wanted:.2f} is asked.', scores[-1])
