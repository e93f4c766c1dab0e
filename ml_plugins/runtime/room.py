"""Who leaves when models need more room than there is: the least recently used, those without work first."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ml_plugins.runtime.limits import RuntimeLimits
from ml_plugins.runtime.model import ResidentModel
from ml_plugins.runtime.spec import ModelSpec

logger = logging.getLogger(__name__)


class Room:
    """Keeps the models of a process within their number and their memory. Not locked: its owner does that."""

    def __init__(self, limits: RuntimeLimits) -> None:
        self._limits = limits
        # What each plugin's newest model took; so room is made before the next one is loaded, not after.
        self._known: dict[str, int] = {}

    def make_for(self, spec: ModelSpec, models: dict[tuple, ResidentModel]) -> list[ResidentModel]:
        """Take models out of `models` until another one fits; the caller ends them."""
        return self._take_out(spec, models, models.values(), self._known.get(spec.plugin, 0))

    def loaded(self, model: ResidentModel, models: dict[tuple, ResidentModel]) -> list[ResidentModel]:
        """The same once a model's memory is known."""
        self._known[model.spec.plugin] = model.memory_bytes
        if models.get(model.spec.key) is not model:
            return []
        others = [other for other in models.values() if other is not model]
        budget = self._limits.memory_bytes
        if budget and model.memory_bytes > budget:
            logger.warning(
                '%s takes %d bytes, more than the whole budget of %d; it stays alone',
                model.spec.plugin,
                model.memory_bytes,
                budget,
            )
        return self._take_out(model.spec, models, others, model.memory_bytes)

    def _take_out(
        self, spec: ModelSpec, models: dict[tuple, ResidentModel], others: Iterable[ResidentModel], memory: int
    ) -> list[ResidentModel]:
        staying = sorted(others, key=lambda model: (not model.is_idle, model.last_used))
        leaving: list[ResidentModel] = []
        while staying and not self._fits(spec, staying, memory):
            model = staying.pop(0)
            leaving.append(models.pop(model.spec.key))
            if not model.is_idle:
                logger.warning('%s leaves although it has work: there is no room for all models', model.spec.plugin)
        return leaving

    def _fits(self, spec: ModelSpec, staying: list[ResidentModel], memory: int) -> bool:
        # The version before works until this one is loaded; it does not count beside it, or nobody could swap them.
        replaces = any(_is_other_version(spec, model.spec) for model in staying)
        if len(staying) + 1 > max(1, self._limits.models) + replaces:
            return False
        total = sum(model.memory_bytes for model in staying) + memory
        return not self._limits.memory_bytes or total <= self._limits.memory_bytes


def _is_other_version(spec: ModelSpec, other: ModelSpec) -> bool:
    return (spec.plugin, spec.project_id) == (other.plugin, other.project_id) and spec.key != other.key
