"""What the ML backends page shows of learning while people label: the switch, its settings, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.learning.settings import ANNOTATORS, RULES, LearningSettings
from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend, TrainingRun

# A count that takes longer is not repeated before twenty times as long has passed.
QUICK_SECONDS = 0.5
COUNT_PAUSE = 20
_counted: dict[int, tuple[float, int]] = {}

_FIELDS = ('after_labels', 'at', 'every_minutes', 'rule', 'annotators', 'keep')
# Settings that the form sends as check boxes: one that is not ticked is not sent at all.
_FLAGS = ('refresh', 'roll_back')


@dataclass(frozen=True)
class LearningPanel:
    """The section *Learn while labeling* of one card.

    Attributes:
        row: The backend's row in the project.
        settings: How it learns.
        changed: Labels given, changed or deleted since the last training began.
        seen: What the page looked like when it was drawn; it is drawn anew when this changes.
    """

    row: ProjectBackend
    settings: LearningSettings
    changed: int
    seen: str

    @property
    def on(self) -> bool:
        """Whether it is switched on."""
        return self.row.learns

    @property
    def rules(self) -> Mapping[str, str]:
        """When a new version goes into service."""
        return RULES

    @property
    def annotators(self) -> Mapping[str, str]:
        """What is learned from a task with several annotations."""
        return ANNOTATORS

    # Numbers as a browser reads them: a template would write them in the language of the person.
    @property
    def after_labels(self) -> str:
        """Value of its field."""
        return str(self.settings.after_labels)

    @property
    def growth_percent(self) -> str:
        """The share in percent, which people find easier."""
        return f'{100 * self.settings.growth:g}'

    @property
    def every_minutes(self) -> str:
        """Value of its field."""
        return f'{self.settings.every_minutes:g}'

    @property
    def keep(self) -> str:
        """Value of its field."""
        return str(self.settings.keep)

    @property
    def time_zone(self) -> str:
        """In which the time of day is meant."""
        return settings.TIME_ZONE

    @property
    def plan(self) -> str:
        """When it trains, as a sentence."""
        return plan_of(self.settings)

    @property
    def progress(self) -> str:
        """How far the labels are, as a sentence."""
        wanted = self.settings.after_labels
        if wanted and self.changed < wanted:
            return f'{self.changed:,} of {wanted:,} new labels so far'
        return f'{self.changed:,} new label{"" if self.changed == 1 else "s"} since the last training began'

    @property
    def percent(self) -> int | None:
        """The same as a share of 100; None when it does not wait for a number of labels."""
        wanted = self.settings.after_labels
        return min(100, 100 * self.changed // wanted) if wanted else None


def learning_of(state: BackendState) -> LearningPanel | None:
    """The section; None for a backend that cannot learn here."""
    if state.row is None or not state.enabled or not state.usable or not state.can_train:
        return None
    found = LearningSettings.of(state.row.learning)
    return LearningPanel(state.row, found, _changed(state.row), seen_of(state.row))


def seen_of(row: ProjectBackend) -> str:
    """Changes with everything that happens to a backend by itself: a run, a version, another one in service."""
    own = {'project': row.project_id, 'backend': row.backend}
    newest = [
        table.objects.filter(**own).order_by('-pk').values_list('pk', flat=True).first() or 0
        for table in (TrainingRun, ModelVersion, BackendEvent)
    ]
    return '.'.join(str(number) for number in (*newest, row.in_service_id or 0))


def values_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """What `LearningSettings.changed` takes, from what the form sent."""
    flags = {name: form.get(name) == 'on' for name in _FLAGS}
    growth = _share(form.get('growth_percent', ''))
    return {**{name: form.get(name, '') for name in _FIELDS}, **flags, 'growth': growth}


def plan_of(found: LearningSettings) -> str:
    """When a backend with these settings trains."""
    reasons = []
    if found.after_labels:
        reasons.append(f'after {found.after_labels:,} new label{"" if found.after_labels == 1 else "s"}')
    if found.growth:
        reasons.append(f'when the labels grew by {100 * found.growth:g} %')
    if found.at:
        reasons.append(f'every day at {found.at} if anything changed')
    if not reasons:
        return 'Nothing lets it train by itself: say below after how many labels, or when.'
    minutes = found.every_minutes
    pause = f', at most every {"minute" if minutes == 1 else f"{minutes:g} minutes"}' if minutes else ''
    return f'It trains {" or ".join(reasons)}{pause}.'


def _share(percent: str) -> Any:
    try:
        return float(percent) / 100
    except ValueError:
        return percent  # refused with the text that the person wrote


def _changed(row: ProjectBackend) -> int:
    """The labels that changed; in a project with very many of them not counted anew for each look at the page."""
    from label_studio.ml_host.learning import counts

    now = time.monotonic()
    until, found = _counted.get(row.pk, (0.0, 0))
    if now < until:
        return found
    found = counts.changed_labels(row)
    took = time.monotonic() - now
    _counted.pop(row.pk, None)
    if took > QUICK_SECONDS:
        _counted[row.pk] = (now + COUNT_PAUSE * took, found)
    return found
