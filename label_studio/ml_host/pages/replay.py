"""What the ML backends page shows of replays: what can be held against what, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from label_studio.ml_host.analysis.labels import control_of
from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.models import ReplayRun
from label_studio.ml_host.pages.curves import Chart, Point, Series, chart_of
from label_studio.ml_host.pages.prelabel import clock
from label_studio.ml_host.replay.options import BASELINE, LIMITS, ReplayOptions
from label_studio.ml_host.replay.services import FEWEST_LABELS, offers
from ml_plugins.exceptions import MLPluginError
from ml_plugins.strategies.registry import Offer

# So many lines can be told apart; the worst of more are in the table only.
COLOURS = 8
NUMBERS = {
    'labels': 'labels at the end',
    'batch': 'labels between two models',
    'seeds': 'repetitions, each with other tasks held out',
}


@dataclass(frozen=True)
class Choice:
    """A strategy in the form."""

    offer: Offer
    is_chosen: bool

    @property
    def is_baseline(self) -> bool:
        """Whether it takes part anyway."""
        return self.offer.name == BASELINE


@dataclass(frozen=True)
class Number:
    """A number in the form; text, because a template would write numbers in the language of the person."""

    name: str
    title: str
    value: str
    low: str
    high: str


@dataclass(frozen=True)
class ResultRow:
    """One strategy in the table.

    Attributes:
        colour: Number of its colour in the drawing; empty past the last.
        is_recommended: Whether it is the one to take.
        used: Whether active learning of the project uses it, in words; empty when it does not.
    """

    curve: Mapping[str, Any]
    colour: str
    is_recommended: bool
    used: str

    @property
    def mean(self) -> str:
        """Mean accuracy over the curve."""
        return f'{self.curve["mean"]:.3f}'

    @property
    def interval(self) -> str:
        """Its 95% interval; empty with one repetition."""
        if self.curve['repetitions'] < 2:
            return ''
        return f'{self.curve["low"]:.3f}\N{EN DASH}{self.curve["high"]:.3f}'

    @property
    def last(self) -> str:
        """Accuracy where the curve ends."""
        return f'{self.curve["points"][-1][1]:.3f}'

    @property
    def labels_to_baseline(self) -> str:
        """Labels with which it is as good as random is at the end."""
        found = self.curve['labels_to_baseline']
        return f'{found:,} labels' if found is not None else 'more labels'

    @property
    def seconds(self) -> str:
        """What it took."""
        return f'{self.curve["seconds"]:.0f} s' if self.curve['seconds'] >= 10 else f'{self.curve["seconds"]:.1f} s'


@dataclass(frozen=True)
class ReplayView:
    """The latest run."""

    run: ReplayRun
    chart: Chart | None
    rows: Sequence[ResultRow]

    @property
    def elapsed(self) -> str:
        """Time since it began, or how long it took."""
        begin = self.run.started_at or self.run.created_at
        return clock(((self.run.ended_at or timezone.now()) - begin).total_seconds())

    @property
    def facts(self) -> str:
        """What was replayed, in a sentence; empty before it is known."""
        found = self.run.result
        if not found:
            return ''
        of = f' of {found["of_tasks"]:,}' if found['of_tasks'] != found['tasks'] else ''
        return (
            f'{found["tasks"]:,}{of} tasks labeled with "{found["control"]}", {found["classes"]} labels, by '
            f'{found["features"]}. A logistic regression learns and is measured on the 30 % that are held out.'
        )

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Strategies that did not come to an end, and why."""
        return [(arm['title'], arm['error']) for arm in self.run.result.get('arms', ()) if arm['error']]


@dataclass(frozen=True)
class ReplayPanel:
    """The section *Replay* of one card.

    Attributes:
        why_not: Why nothing can be replayed; empty when something can.
        latest: The latest run; None before the first.
    """

    why_not: str
    choices: Sequence[Choice]
    numbers: Sequence[Number]
    latest: ReplayView | None

    @property
    def is_open(self) -> bool:
        """Whether the section is shown unfolded."""
        return self.latest is not None and not self.latest.run.has_ended

    @property
    def fewest(self) -> int:
        """Labels that it takes."""
        return FEWEST_LABELS


def replay_of(state: BackendState) -> ReplayPanel | None:
    """The section; None for a backend that is not in use."""
    if state.row is None or not state.enabled or not state.usable:
        return None
    latest = latest_of(state)
    options = ReplayOptions(**latest.run.options) if latest is not None else ReplayOptions()
    wanted = {*options.strategies, BASELINE}
    choices = [Choice(offer, offer.name in wanted and not offer.why_not) for offer in offers(state.row)]
    choices.sort(key=lambda choice: bool(choice.offer.why_not))
    numbers = [
        Number(name, title, str(getattr(options, name)), *map(str, LIMITS[name])) for name, title in NUMBERS.items()
    ]
    return ReplayPanel(why_not_of(state.project), choices, numbers, latest)


def latest_of(state: BackendState) -> ReplayView | None:
    """The latest run with what it found so far."""
    run = ReplayRun.objects.filter(project=state.project, backend=state.name).first()
    if run is None:
        return None
    found = run.result.get('curves', [])
    plan = state.sampling
    words = 'In use' if plan['on'] else 'Chosen; active learning is off'
    rows = [
        ResultRow(
            curve,
            str(number) if number < COLOURS else '',
            curve['name'] == run.result.get('recommended'),
            words if curve['name'] == plan['strategy'] else '',
        )
        for number, curve in enumerate(found)
    ]
    return ReplayView(run, chart_of([_series(*item) for item in enumerate(found[:COLOURS])], from_zero=True), rows)


def _series(number: int, curve: Mapping[str, Any]) -> Series:
    points = [Point(*point) for point in curve['points']]
    return Series(curve['name'], curve['title'], points, str(number), curve['repetitions'] > 1)


def why_not_of(project: Any) -> str:
    """Why nothing can be worked out from the labels of a project; empty when something can."""
    try:
        control_of(project)
    except MLPluginError as error:
        return str(error)
    return ''
