"""What the ML backends page shows of active learning: the switch, its settings, and whether it is worth it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from django.http import QueryDict
from django.utils import timezone
from django.utils.timesince import timesince

from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.models import SamplingPlan
from label_studio.ml_host.pages.curves import Chart, Point, Series, chart_of
from label_studio.ml_host.pages.fields import Field
from label_studio.ml_host.sampling.findings.state import Found
from label_studio.ml_host.sampling.overview import Choice, Fallen, Overview, overview_of

# Before the names of parameters in the form: strategies and criteria have some of the same name.
STRATEGY, CRITERION = 'strategy-', 'criterion-'


@dataclass(frozen=True)
class Option:
    """A strategy or a criterion in the form, with fields for its parameters."""

    choice: Choice
    fields: Sequence[Field]


@dataclass(frozen=True)
class Figure:
    """A number that people look for first, with what it means."""

    name: str
    value: str
    words: str


@dataclass(frozen=True)
class SamplingPanel:
    """The section *Active learning* of one card.

    Attributes:
        elsewhere: Name of the backend that the project chooses with instead; empty for none.
        seen: What the page looked like when it was drawn; it is drawn anew when this changes.
    """

    overview: Overview
    elsewhere: str
    seen: str

    @property
    def on(self) -> bool:
        """Whether it is switched on with this backend."""
        return self.overview.on

    @property
    def plan(self) -> SamplingPlan | None:
        """The project's plan."""
        return self.overview.plan

    @property
    def found(self) -> Found:
        """What was found out."""
        return self.overview.found

    @property
    def fallen(self) -> Fallen | None:
        """Where another strategy chooses."""
        return self.overview.fallen

    @property
    def strategies(self) -> list[Option]:
        """What can be chosen."""
        return [_option(choice, STRATEGY) for choice in self.overview.strategies]

    @property
    def criteria(self) -> list[Option]:
        """What says when to stop."""
        return [_option(choice, CRITERION) for choice in self.overview.criteria]

    # Numbers as a browser reads them: a template would write them in the language of the person.
    @property
    def explore_percent(self) -> str:
        """The random share in percent, which people find easier."""
        return f'{100 * self.overview.settings.explore:g}'

    @property
    def batch(self) -> str:
        """Value of its field."""
        return str(self.overview.settings.batch)

    @property
    def status(self) -> str:
        """What waits, and how old the scores are that it was chosen by."""
        waiting = self.overview.waiting
        parts = [f'{waiting:,} chosen task{" waits" if waiting == 1 else "s wait"}']
        if self.plan is not None and self.plan.scored_at is not None:
            _, _, number = self.plan.scored_version.rpartition('-v')
            by = f'by version {number}' if number not in ('', '0') else 'by the model' if number else 'without a model'
            parts.append(f'chosen {by}, {_ago(self.plan.scored_at)}')
        return ' \N{MIDDLE DOT} '.join(parts)

    @property
    def chart(self) -> Chart | None:
        """Both learning curves."""
        titles = {'active': 'Labels as they were served', 'random': 'The random share alone'}
        return chart_of([_series(name, title, self.found.arms.get(name, ())) for name, title in titles.items()])

    @property
    def figures(self) -> list[Figure]:
        """The numbers that there are."""
        return [*self._saved(), *self._next()]

    @property
    def age(self) -> str:
        """From how many labels it was worked out, and when."""
        if self.found.computed_at is None:
            return ''
        labels = self.found.labels
        return f'From {labels:,} label{"" if labels == 1 else "s"}, {_ago(self.found.computed_at)}.'

    @property
    def is_asked(self) -> bool:
        """Whether it is being worked out anew because somebody asked."""
        return self.found.row is not None and self.found.row.asked_at is not None

    @property
    def why_no_forecast(self) -> str:
        """Why it cannot be told what the next labels bring, unless a criterion says so already."""
        gain = self.found.gain
        is_told = any(item['sentence'] == gain.get('sentence') for item in self.chosen_advice)
        return '' if is_told or gain.get('gain') is not None else gain.get('sentence', '')

    @property
    def chosen_advice(self) -> list[Mapping[str, Any]]:
        """What the project's own criteria say."""
        return [item for item in self.found.advice if item['active']]

    def _saved(self) -> list[Figure]:
        arms = self.found.arms
        # A number that may as well be its opposite is no figure; the sentence tells it with its interval.
        if arms.get('saved') is None or arms['saved_low'] <= 0:
            return []
        low, high = arms['saved_low'], arms['saved_high']
        return [Figure('Labels saved so far', f'{arms["saved"]:,.0f}', f'{low:,.0f} to {high:,.0f}')]

    def _next(self) -> list[Figure]:
        gain = self.found.gain
        if gain.get('gain') is None:
            return []
        low, high = 100 * gain['low'], 100 * gain['high']
        words = f'points, {low:+.1f} to {high:+.1f}'
        return [Figure(f'The next {gain["ahead"]:,} labels', f'{100 * gain["gain"]:+.1f}', words)]


def sampling_of(state: BackendState) -> SamplingPanel | None:
    """The section; None for a backend that is not in use."""
    if state.row is None or not state.enabled or not state.usable:
        return None
    overview = overview_of(state.project.pk, state.name, state.row)
    other = SamplingPlan.objects.filter(project=state.project, enabled=True).exclude(backend=state.name).first()
    return SamplingPanel(overview, other.backend if other is not None else '', seen_of(overview))


def seen_of(overview: Overview) -> str:
    """Changes with everything that happens to it by itself."""
    plan, row = overview.plan, overview.found.row
    if plan is None:
        return ''
    computed = row.computed_at.timestamp() if row is not None and row.computed_at is not None else 0
    facts = (overview.on, plan.instead, plan.fallback, plan.explanation, row is not None and row.asked_at is not None)
    return f'{computed:.3f}.{crc32(repr(facts).encode())}'


def values_of(form: QueryDict) -> dict[str, Any]:
    """What `SamplingSettings.changed` takes, from what the form sent."""
    strategy = form.get('strategy', '')
    criteria = form.getlist('stop')
    return {
        'strategy': strategy,
        'params': _params(form, f'{STRATEGY}{strategy}-'),
        'explore': _share(form.get('explore_percent', '')),
        'batch': form.get('batch', ''),
        'stop': {name: _params(form, f'{CRITERION}{name}-') for name in criteria},
    }


def _params(form: QueryDict, prefix: str) -> dict[str, Any]:
    # A check box that is ticked comes after the hidden field that stands for it when it is not.
    return {name.removeprefix(prefix): form.getlist(name)[-1] for name in form if name.startswith(prefix)}


def _option(choice: Choice, kind: str) -> Option:
    prefix = f'{kind}{choice.name}-'
    return Option(choice, [Field(param, choice.values[param.name], prefix) for param in choice.params])


def _share(percent: str) -> Any:
    try:
        return float(percent) / 100
    except ValueError:
        return percent  # refused with the text that the person wrote


def _ago(at) -> str:
    if (timezone.now() - at).total_seconds() < 60:
        return 'just now'
    return f'{timesince(at, depth=1)} ago'


def _series(name: str, title: str, points: Sequence[Mapping[str, Any]]) -> Series:
    found = [Point(point['labels'], point['accuracy'], point['low'], point['high']) for point in points]
    return Series(name, title, found, look=name)
