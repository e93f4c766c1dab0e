"""What a query strategy is; the arrays that it works on are in `ml_plugins.strategies.pool`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ml_plugins.params import Param, resolve_params
from ml_plugins.strategies.pool import Labeled, Needs, Picked, Pool

__all__ = ['Labeled', 'Needs', 'Picked', 'Pool', 'QueryStrategy']


class QueryStrategy(ABC):
    """Says which tasks to label next.

    Subclasses are stateless: one instance may be used by several threads.

    Attributes:
        name: A Python identifier; the entry point has the same.
        title: Its name for people.
        help: One sentence for people.
        needs: Without these it cannot work.
        params: What a project may set.
        uniform: Whether every task is as likely as every other, whatever the model says.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    help: ClassVar[str] = ''
    needs: ClassVar[Needs] = Needs()
    params: ClassVar[Sequence[Param]] = ()
    uniform: ClassVar[bool] = False

    def __init__(self, **values: Any) -> None:
        """Take values of `params`; raises `ParameterError`."""
        self.param_values = resolve_params(self.params, values)

    @abstractmethod
    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """How useful each task's label would be.

        Args:
            pool: Unlabeled tasks, at least one; it has what `needs` names.
            labeled: What has been labeled so far; may be empty.
            rng: The only source of chance, so that a choice can be repeated.

        Returns:
            Shape (n,), finite; the highest is to be labeled first.

        Raises:
            StrategyError: There is nothing to tell the tasks apart with.
        """

    def select(
        self,
        pool: Pool,
        labeled: Labeled,
        size: int,
        rng: np.random.Generator,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        """The rows of the next batch, first things first; by default those with the highest scores.

        A strategy whose batch would consist of look-alikes overrides this: until the next model is there, all of the
        batch is labeled.

        Args:
            size: How many; all tasks when there are fewer.
            scores: What `score` said about this pool, when the host has that already.
        """
        from ml_plugins.strategies.batches import best

        if scores is None:
            scores = self.score(pool, labeled, rng)
        return best(scores, size, rng)

    def why_not(self, available: Needs) -> str:
        """A sentence saying why the strategy cannot work with what there is; empty when it can."""
        return self.needs.why_not(available)

    def explain(self, pool: Pool, labeled: Labeled) -> str:
        """A sentence saying how the next batch comes about, for people."""
        return f'{self.title}: {self.help}' if self.help else self.title
