"""What the ML backends page shows of a backend's versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.pages.curve import Curve, curve_of
from label_studio.ml_host.pages.notices import Notice, notices_of

SHOWN = 20
_State = ModelVersion.State
_COLOURS: Mapping[str, str] = {_State.FAILED: 'ml-bad', _State.CANDIDATE: 'ml-busy'}


@dataclass(frozen=True)
class Bar:
    """An interval on a scale of 100; text, because a template would write numbers in the language of the person."""

    start: str
    length: str
    point: str


@dataclass(frozen=True)
class VersionRow:
    """One version in the table.

    Attributes:
        in_service: Whether predictions come from it.
        serving: Number of the version in service; None when there is none.
    """

    version: ModelVersion
    in_service: bool
    serving: int | None

    @property
    def state(self) -> str:
        """Where it stands, in a word."""
        return 'In service' if self.in_service else self.version.get_state_display()

    @property
    def colour(self) -> str:
        """Class of that word."""
        return 'ml-good' if self.in_service else _COLOURS.get(self.version.state, '')

    @property
    def origin(self) -> str:
        """What led to it: a trigger, or a person."""
        run = getattr(self.version, 'training_run', None)
        person = run.created_by if run is not None else None
        return self.version.trigger or (f'by {person.email}' if person else '')

    @property
    def tasks(self) -> str:
        """How many labeled tasks it learned from."""
        count = self.version.trained_on
        return f'{count:,} task{"" if count == 1 else "s"}'

    @property
    def score(self) -> str:
        """Its agreement with the held-out labels; empty when nothing was held out."""
        return '' if self.version.score is None else f'{self.version.score:.2f}'

    @property
    def interval(self) -> str:
        """The 95% interval of the score."""
        low, high = self.version.score_low, self.version.score_high
        return '' if low is None or high is None else f'{low:.2f}\N{EN DASH}{high:.2f}'

    @property
    def unmeasured(self) -> str:
        """Why it has no score."""
        snapshot = self.version.snapshot
        nothing = snapshot.held_out == 0 if snapshot else self.version.metrics.get('held_out_size') == 0
        return 'no held-out labels yet' if nothing else 'not measured'

    @property
    def bar(self) -> Bar | None:
        """The score and its interval as a drawing."""
        low, high, score = self.version.score_low, self.version.score_high, self.version.score
        return None if low is None or high is None or score is None else bar_of(low, high, score)

    @property
    def agreement(self) -> str:
        """How far what people submitted agrees with what it had predicted; empty before the first."""
        count = self.version.live_count
        return f'{self.version.live_sum / count:.2f} of {count:,}' if count else ''

    @property
    def can_serve(self) -> bool:
        """Whether it can be put in service as it stands."""
        return not self.in_service and self.version.state == _State.CANDIDATE

    @property
    def can_archive(self) -> bool:
        """Whether it can be put aside."""
        return not self.in_service and self.version.state == _State.CANDIDATE

    @property
    def is_archived(self) -> bool:
        """Whether it was put aside."""
        return not self.in_service and self.version.state == _State.ARCHIVED

    @property
    def can_repeat(self) -> bool:
        """Whether it is known which annotations it was trained on."""
        return self.version.snapshot is not None

    @property
    def has_versions_beside(self) -> bool:
        """Whether there is one in service to compare it with."""
        return self.serving is not None and not self.in_service and self.version.state != _State.FAILED


@dataclass(frozen=True)
class VersionsPanel:
    """The section *Versions* of one card.

    Attributes:
        rows: Newest first.
        total: How many there are; more than the rows where only the newest are shown.
        serving: The one in service; None when there is none.
        curve: None before two versions have a score.
        notices: What happened to versions by itself, to be read first.
    """

    rows: Sequence[VersionRow]
    total: int
    serving: VersionRow | None
    curve: Curve | None
    notices: Sequence[Notice]

    @property
    def can_compare(self) -> bool:
        """Whether there are two."""
        return len(self.rows) > 1

    @property
    def has_more(self) -> bool:
        """Whether older ones are not shown."""
        return self.total > len(self.rows)


def versions_of(state: BackendState, every: bool = False) -> VersionsPanel:
    """The section of a backend.

    Args:
        state: The backend in the project.
        every: Show all versions instead of the newest.
    """
    if state.row is None:
        return VersionsPanel((), 0, None, None, ())
    found = ModelVersion.objects.filter(project=state.project, backend=state.name)
    serving = state.row.in_service
    total = found.count()
    # The content of a snapshot lists every annotation; nothing of it is shown.
    found = found.select_related('snapshot', 'previous', 'training_run__created_by').defer('snapshot__content')
    shown = list(found if every else found[:SHOWN])
    number = serving.number if serving is not None else None
    rows = [VersionRow(version, version == serving, number) for version in shown]
    first = VersionRow(serving, True, number) if serving is not None else None
    return VersionsPanel(rows, total, first, _curve(state.project, state.name, serving), notices_of(state.row))


def bar_of(low: float, high: float, score: float) -> Bar:
    """An interval and the score in it, each 0..1."""
    return Bar(f'{100 * low:.1f}', f'{100 * max(0.01, high - low):.1f}', f'{98.4 * score:.1f}')


def _curve(project: Any, backend: str, serving: ModelVersion | None) -> Curve | None:
    from label_studio.ml_host.quality.curve import learning_curve

    points = learning_curve(project, backend)
    if len(points) < 2:
        return None
    archived = ModelVersion.objects.filter(project=project, backend=backend, state=_State.ARCHIVED)
    return curve_of(points, serving.number if serving else None, frozenset(archived.values_list('number', flat=True)))
