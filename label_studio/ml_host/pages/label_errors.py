"""What the ML backends page shows of suspected label errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.label_errors import overview
from label_studio.ml_host.label_errors.overview import Standing
from label_studio.ml_host.label_errors.result import Found
from label_studio.ml_host.label_errors.services import FEWEST_LABELS
from label_studio.ml_host.models import LabelErrorRun, LabelReview
from label_studio.ml_host.pages.prelabel import clock
from label_studio.ml_host.pages.replay import why_not_of

# So many are shown; the others behind a click.
SHOWN = 20


@dataclass(frozen=True)
class SuspectRow:
    """One suspected label in the table."""

    standing: Standing

    @property
    def probability(self) -> str:
        """Probability of the suggested label."""
        return f'{100 * self.standing.suspect.confidence:.0f} %'

    @property
    def verdicts(self) -> Sequence[tuple[str, str]]:
        """What can be said of it: value and text of each button."""
        right = (LabelReview.Verdict.RIGHT, 'Looks right')
        if not self.is_asked:
            return (right, (LabelReview.Verdict.SECOND_OPINION, 'Ask somebody else'))
        return (right, ('', 'Do not ask')) if not self.standing.opinions else (right,)

    @property
    def is_asked(self) -> bool:
        """Whether somebody else is asked."""
        return self.standing.state == overview.ASKED


@dataclass(frozen=True)
class LabelErrorsPanel:
    """The section *Label errors* of one card.

    Attributes:
        why_not: Why it cannot be looked for any; empty when it can.
        run: The run that is under way or failed; None when the latest one is the one that is shown.
        shown: The run whose suspects are shown; None before the first that was finished.
        rows: Suspects to be looked at, the most doubtful first.
        states: How many suspects stand how.
    """

    why_not: str
    run: LabelErrorRun | None
    shown: LabelErrorRun | None
    rows: Sequence[SuspectRow]
    states: Counter[str]
    serving: int | None

    @property
    def is_open(self) -> bool:
        """Whether the section is shown unfolded."""
        return self.run is not None and not self.run.has_ended

    @property
    def first_rows(self) -> Sequence[SuspectRow]:
        """What is shown at once."""
        return self.rows[:SHOWN]

    @property
    def more_rows(self) -> Sequence[SuspectRow]:
        """What is shown after a click."""
        return self.rows[SHOWN:]

    @property
    def fewest(self) -> int:
        """Labels that it takes."""
        return FEWEST_LABELS

    @property
    def found(self) -> Found | None:
        """What the shown run found."""
        return Found.of(self.shown.result) if self.shown is not None else None

    @property
    def elapsed(self) -> str:
        """Time since the run under way began."""
        begin = self.run.started_at or self.run.created_at
        return clock(((self.run.ended_at or timezone.now()) - begin).total_seconds())

    @property
    def facts(self) -> str:
        """What was looked at, in a sentence."""
        found = self.found
        left_out = f', {found.left_out:,} more left out since their label is rare or the version says nothing of them'
        return (
            f'{found.tasks:,} tasks labeled with "{found.control}" were looked at{left_out if found.left_out else ""}, '
            f'by {found.features}.'
        )

    @property
    def out_of_date(self) -> str:
        """Why it may be worth to look again; empty when nothing has happened."""
        parts = [overview.changes_since(self.shown).sentence]
        if self.found.version != self.serving:
            parts.append(f'Version {self.serving} is in service by now.')
        return ' '.join(filter(None, parts))

    @property
    def settled(self) -> str:
        """Suspects that need not be looked at any more, in a sentence; empty when there are none."""
        words = {
            overview.RIGHT: 'said to be right',
            overview.CHANGED: 'changed since',
            overview.GONE: 'deleted since',
        }
        parts = [f'{self.states[state]:,} {text}' for state, text in words.items() if self.states[state]]
        return f'Not shown: {", ".join(parts)}.' if parts else ''


def label_errors_of(state: BackendState) -> LabelErrorsPanel | None:
    """The section; None for a backend that is not in use."""
    if state.row is None or not state.enabled or not state.usable:
        return None
    runs = LabelErrorRun.objects.filter(project=state.project, backend=state.name)
    latest, shown = runs.first(), runs.filter(state=LabelErrorRun.State.FINISHED).first()
    standings = overview.standings(shown) if shown is not None else []
    rows = [SuspectRow(item) for item in standings if item.state in (overview.OPEN, overview.ASKED)]
    run = latest if latest != shown else None
    why_not = why_not_of(state.project)
    return LabelErrorsPanel(why_not, run, shown, rows, overview.counts(standings), state.version_in_service)
