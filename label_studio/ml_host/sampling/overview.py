"""How a backend stands in its project's choice of tasks: settings, what can be chosen, queue, scores and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from label_studio.ml_host.models import ProjectBackend, SampledTask, SamplingPlan, TaskScore
from label_studio.ml_host.sampling import available, queueing
from label_studio.ml_host.sampling.findings import falling
from label_studio.ml_host.sampling.findings.state import Found, found_of
from label_studio.ml_host.sampling.settings import SamplingSettings
from ml_plugins.params import Param


@dataclass(frozen=True)
class Choice:
    """A strategy or a stopping criterion that a project may choose.

    Attributes:
        why_not: Why it cannot work with this backend; empty when it can.
        chosen: Whether the project has it.
        values: Its parameters in force, defaults filled in.
    """

    name: str
    title: str
    help: str
    params: Sequence[Param]
    why_not: str
    chosen: bool
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Fallen:
    """Another strategy chooses while the plan's own does worse.

    Attributes:
        instead: Which one.
        why: What the comparison said.
        again_at: With how many labels the plan's own gets another try by itself.
    """

    instead: str
    why: str
    at: datetime | None
    again_at: int


@dataclass(frozen=True)
class Overview:
    """Everything about it.

    Attributes:
        row: The backend in the project; None when it was never switched on there.
        plan: None when active learning was never switched on with this backend.
    """

    row: ProjectBackend | None
    plan: SamplingPlan | None
    settings: SamplingSettings
    found: Found

    @property
    def on(self) -> bool:
        """Whether tasks are chosen with this backend."""
        return self.plan is not None and self.plan.enabled and self.row is not None and self.row.enabled

    @property
    def strategies(self) -> list[Choice]:
        """What can be chosen, *Automatic* first."""
        found = [
            _choice(offer, offer.why_not, offer.name == self.settings.strategy, self.settings.params)
            for offer in available.offers(self.row)
        ]
        return sorted(found, key=lambda choice: choice.name != 'automatic')

    @property
    def criteria(self) -> list[Choice]:
        """What can say when to stop; several may be chosen."""
        from ml_plugins.strategies import criterion_classes

        chosen = self.settings.stop
        return [_choice(kind, '', name in chosen, chosen.get(name, {})) for name, kind in criterion_classes().items()]

    @property
    def waiting(self) -> int:
        """Tasks that are chosen and not served yet."""
        return queueing.waiting(self.plan).count() if self.plan is not None else 0

    @property
    def served(self) -> dict[str, int]:
        """How often tasks were served, by where they came from; those at random count as explored as well."""
        if self.plan is None:
            return {}
        rows = SampledTask.objects.filter(project_id=self.plan.project_id, served_at__isnull=False)
        counted = dict(rows.order_by().values_list('source').annotate(count=Count('pk')))
        return {**counted, 'explored': rows.filter(explored=True).count()}

    @property
    def scored(self) -> int:
        """Tasks that have a score."""
        return TaskScore.objects.filter(project_id=self.plan.project_id).count() if self.plan is not None else 0

    @property
    def fallen(self) -> Fallen | None:
        """Where the strategy is not used because it does worse than random."""
        row = self.found.row
        if self.plan is None or not self.plan.instead or row is None:
            return None
        return Fallen(self.plan.instead, row.fell_back_why, row.fell_back_at, falling.again_at(row))


def overview_of(project_id: int, backend: str, row: ProjectBackend | None) -> Overview:
    """How a backend stands in the choice of a project's tasks."""
    own = SamplingPlan.objects.filter(project_id=project_id, backend=backend)
    plan = own.select_related('findings', 'project').first()
    return Overview(row, plan, SamplingSettings.of(plan), found_of(plan))


def _choice(kind: Any, why_not: str, chosen: bool, values: Mapping[str, Any]) -> Choice:
    params = tuple(kind.params)
    known = {param.name: values.get(param.name, param.default) if chosen else param.default for param in params}
    return Choice(kind.name, kind.title, kind.help, params, why_not, chosen, known)
