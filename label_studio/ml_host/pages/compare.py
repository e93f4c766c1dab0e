"""The page that holds two versions against each other: what stands where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.pages.confusion import Matrix, matrix_of
from label_studio.ml_host.pages.versions import Bar, VersionRow, bar_of
from label_studio.ml_host.quality.compare import Comparison, ControlComparison, Disagreement
from label_studio.ml_host.quality.confusion import ClassFigures
from label_studio.ml_host.quality.examination import Score

# Rows that are read without being asked for.
SHOWN = 50
_LONGEST = 90
_RIGHT, _WRONG = '✓', '✗'
_COLOURS = {_RIGHT: 'ml-good', _WRONG: 'ml-bad'}


@dataclass(frozen=True)
class Side:
    """One of the two versions.

    Attributes:
        score: On the tasks that both were measured on; None when there is none.
    """

    row: VersionRow
    score: Score | None

    @property
    def version(self) -> ModelVersion:
        """The version."""
        return self.row.version

    @property
    def figure(self) -> str:
        """The score in two digits."""
        return f'{self.score.value:.2f}' if self.score else ''

    @property
    def interval(self) -> str:
        """Its 95% interval."""
        return f'{self.score.low:.2f}\N{EN DASH}{self.score.high:.2f}' if self.score else ''

    @property
    def bar(self) -> Bar | None:
        """Both as a drawing."""
        return bar_of(self.score.low, self.score.high, self.score.value) if self.score else None


@dataclass(frozen=True)
class ClassRow:
    """One label with the figures of both versions."""

    first: ClassFigures
    second: ClassFigures

    @property
    def label(self) -> str:
        """The label."""
        return self.first.label

    @property
    def figures(self) -> list[str]:
        """Precision, recall and F1 of the first version, then of the second."""
        found = (self.first.precision, self.first.recall, self.first.f1)
        return [_share(value) for value in (*found, self.second.precision, self.second.recall, self.second.f1)]

    @property
    def change(self) -> str:
        """How much better in F1 the second one is, with its sign; empty when that cannot be said."""
        if self.first.f1 is None or self.second.f1 is None:
            return ''
        change = round(self.second.f1 - self.first.f1, 2)
        return f'{change:+.2f}' if change else '0'

    @property
    def colour(self) -> str:
        """Class of the change."""
        return {'+': 'ml-good', '-': 'ml-bad'}.get(self.change[:1], '')


@dataclass(frozen=True)
class ControlTable:
    """One control of the label config."""

    name: str
    rows: Sequence[ClassRow]
    matrices: Sequence[tuple[Side, Matrix]]


@dataclass(frozen=True)
class DifferenceRow:
    """A task on which the two disagree.

    Attributes:
        exists: Whether the task can still be opened.
        excerpt: What it is, in a few words of its data.
    """

    item: Disagreement
    exists: bool
    excerpt: str

    @property
    def marks(self) -> tuple[str, str]:
        """Of each version: right, wrong, or its agreement with people."""
        return _mark(self.item.first_agreement), _mark(self.item.second_agreement)

    @property
    def colours(self) -> tuple[str, str]:
        """Classes of those."""
        return _COLOURS.get(self.marks[0], 'ml-dim'), _COLOURS.get(self.marks[1], 'ml-dim')


@dataclass(frozen=True)
class ComparePage:
    """Everything on the page.

    Attributes:
        sides: The two versions, the older one first.
        rows: Tasks on which they disagree, the most telling ones first.
    """

    comparison: Comparison
    sides: tuple[Side, Side]
    tables: Sequence[ControlTable]
    rows: Sequence[DifferenceRow]

    @property
    def first_rows(self) -> Sequence[DifferenceRow]:
        """Those that are shown at once."""
        return self.rows[:SHOWN]

    @property
    def more_rows(self) -> Sequence[DifferenceRow]:
        """The others."""
        return self.rows[SHOWN:]

    @property
    def left_out(self) -> int:
        """Tasks that are not listed at all."""
        return self.comparison.disagreeing - len(self.rows)


def page_of(comparison: Comparison, serving: ModelVersion | None) -> ComparePage:
    """Lay out a comparison.

    Args:
        comparison: Of two versions of one backend.
        serving: The version in service.
    """
    number = serving.number if serving is not None else None
    scores = (comparison.first_score, comparison.second_score)
    versions = (comparison.first, comparison.second)
    first, second = (
        Side(VersionRow(version, version == serving, number), score)
        for version, score in zip(versions, scores, strict=True)
    )
    tables = [_table(control, first, second) for control in comparison.controls]
    return ComparePage(comparison, (first, second), tables, _rows(comparison.disagreements))


def _table(control: ControlComparison, first: Side, second: Side) -> ControlTable:
    rows = [ClassRow(*both) for both in zip(control.first.classes, control.second.classes, strict=True)]
    matrices = [
        (side, matrix_of(found, control.labels)) for side, found in ((first, control.first), (second, control.second))
    ]
    return ControlTable(control.name, rows, matrices)


def _rows(items: Sequence[Disagreement]) -> list[DifferenceRow]:
    from label_studio.ml_host.upstream import Task

    data = dict(Task.objects.filter(pk__in=[item.task_id for item in items]).values_list('pk', 'data'))
    return [DifferenceRow(item, item.task_id in data, excerpt_of(data.get(item.task_id, {}))) for item in items]


def excerpt_of(data: Mapping[str, Any]) -> str:
    """The first text among a task's data; of an address only the file's name."""
    text = next((value for value in data.values() if isinstance(value, str) and value.strip()), '')
    if text.startswith('/') or '://' in text[:12]:
        text = text.partition('?')[0].rstrip('/').rpartition('/')[2]
    text = ' '.join(text[: 4 * _LONGEST].split())
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'


def _share(value: float | None) -> str:
    return '\N{EN DASH}' if value is None else f'{value:.2f}'


def _mark(agreement: float) -> str:
    return {1.0: _RIGHT, 0.0: _WRONG}.get(agreement, f'{agreement:.2f}')
