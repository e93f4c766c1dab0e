"""The strategy for people who do not want to choose one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_plugins.params import Param
from ml_plugins.strategies.cluster_margin import ClusterMargin
from ml_plugins.strategies.contract import QueryStrategy
from ml_plugins.strategies.disagreement import Committee
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.power import Power
from ml_plugins.strategies.rows import chunks
from ml_plugins.strategies.structured import Mnlp, RegionUncertainty
from ml_plugins.strategies.typiclust import TypiClust
from ml_plugins.strategies.uncertainty import RandomStrategy

# Past so many labels the start is over, however many classes there are.
_LONGEST_START = 200


@dataclass(frozen=True)
class Plan:
    """Which strategy is taken, and why."""

    strategy: QueryStrategy
    reason: str


class Automatic(QueryStrategy):
    """TypiClust until the labels cover enough, then cluster margin; with less to go by, what is left."""

    name = 'automatic'
    title = 'Automatic'
    help = 'Typical tasks of every kind at the start, then different tasks where two labels compete.'
    params = (
        Param('first_labels', 10, 'Labels until which typical tasks are served; never fewer than classes.', minimum=0),
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """What the strategy of the moment says."""
        return self.plan(pool, labeled).strategy.score(pool, labeled, rng)

    def select(
        self,
        pool: Pool,
        labeled: Labeled,
        size: int,
        rng: np.random.Generator,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        return self.plan(pool, labeled).strategy.select(pool, labeled, size, rng, scores)

    def explain(self, pool: Pool, labeled: Labeled) -> str:
        """The strategy of the moment and why."""
        plan = self.plan(pool, labeled)
        return f'{plan.strategy.title}: {plan.reason}'

    def plan(self, pool: Pool, labeled: Labeled) -> Plan:
        """The strategy of the moment."""
        available = pool.available
        if available.embeddings:
            if reason := self._at_the_start(pool, labeled):
                return Plan(TypiClust(), reason)
            if available.probabilities and _tells_apart(pool, labeled):
                return Plan(ClusterMargin(), 'the labels cover enough for the model to say where it is unsure')
        return self._without(available, pool, labeled)

    def _at_the_start(self, pool: Pool, labeled: Labeled) -> str:
        classes = sum(rows.shape[1] for rows in (pool.probabilities or {}).values())
        wanted = min(max(int(self.param_values['first_labels']), classes), _LONGEST_START)
        if len(labeled) < wanted:
            return f'there are {len(labeled)} labels, and {wanted} are wanted before the model is asked'
        return ''

    def _without(self, available: Needs, pool: Pool, labeled: Labeled) -> Plan:
        """What can be done where cluster margin cannot work."""
        if available.sequences:
            return Plan(Mnlp(), 'the model gives log-probabilities of tokens')
        if available.regions:
            return Plan(RegionUncertainty(), 'the model gives scores of regions')
        if available.probabilities and _tells_apart(pool, labeled):
            return Plan(Power(), 'the model gives probabilities, but no embeddings')
        if available.members and len(pool.members or ()) > 1:
            return Plan(Committee(batch='power'), 'several models answer')
        if available.embeddings:
            return Plan(TypiClust(), 'there is no doubt of the model to go by, so every kind of task is served')
        return Plan(RandomStrategy(), 'the model has given neither probabilities nor embeddings so far')


def _tells_apart(pool: Pool, labeled: Labeled) -> bool:
    """Whether the probabilities come from a model that has seen more than one class."""
    usable = any(
        np.isfinite(np.asarray(rows[part])).all(axis=1).any()
        for rows in pool.probabilities.values()
        for part in chunks(len(rows))
    )
    seen = [len(labeled.classes(name)) for name in pool.probabilities if len(labeled.answers.get(name, ()))]
    return usable and (not seen or max(seen) > 1)
