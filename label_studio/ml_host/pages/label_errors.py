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
from label_studio.ml_host.pages.compare import excerpt_of
from label_studio.ml_host.pages.prelabel import clock
from label_studio.ml_host.pages.replay import why_not_of

# So many are shown, and behind a click so many in all.
SHOWN, MOST = 20, 100


@dataclass(frozen=True)
class SuspectRow:
    """One suspected label in the table.

    Attributes:
        excerpt: What its task is, in a few words of its data.
    """

    standing: Standing
    excerpt: str

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
        rows: The first suspects to be looked at, the most doubtful first.
        left_out: Further ones.
        states: How many suspects stand how.
    """

    why_not: str
    run: LabelErrorRun | None
    shown: LabelErrorRun | None
    rows: Sequence[SuspectRow]
    left_out: int
    states: Counter[str]
    serving: int | None

    @property
    def is_open(self) -> bool:
        """Whether the section is shown unfolded."""
        return self.run is not None and not self.run.has_ended

    @property
    def count(self) -> int:
        """Suspects to be looked at."""
        return len(self.rows) + self.left_out

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
    unsettled = [item for item in standings if item.state in (overview.OPEN, overview.ASKED)]
    return LabelErrorsPanel(
        why_not_of(state.project),
        latest if latest != shown else None,
        shown,
        _rows(unsettled[:MOST]),
        max(0, len(unsettled) - MOST),
        overview.counts(standings),
        state.version_in_service,
    )


def _rows(standings: Sequence[Standing]) -> list[SuspectRow]:
    from label_studio.ml_host.upstream import Task

    data = dict(Task.objects.filter(pk__in=[item.suspect.task_id for item in standings]).values_list('pk', 'data'))
    return [SuspectRow(item, excerpt_of(data.get(item.suspect.task_id, {}))) for item in standings]
