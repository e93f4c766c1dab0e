"""A confusion matrix as a table with shades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from label_studio.ml_host.quality.confusion import NOTHING, Confusion

# More than this nobody reads; the labels that people give most are shown.
MOST_LABELS = 24
SHADES = 9


@dataclass(frozen=True)
class MatrixCell:
    """How often one label was taken for another.

    Attributes:
        shade: 0 for none to 9 for all of its row.
        right: Whether truth and answer are the same.
    """

    count: int
    shade: int
    right: bool

    @property
    def style(self) -> str:
        """Class of the cell."""
        return f'ml-{"right" if self.right else "wrong"} ml-shade-{self.shade}' if self.count else 'ml-none'


@dataclass(frozen=True)
class MatrixRow:
    """What became of the tasks to which people gave one label."""

    label: str
    cells: Sequence[MatrixCell]


@dataclass(frozen=True)
class Matrix:
    """Rows are what people say, columns what the version says.

    Attributes:
        left_out: Labels that are not shown.
    """

    labels: Sequence[str]
    rows: Sequence[MatrixRow]
    left_out: int = 0


def matrix_of(confusion: Confusion, labels: Sequence[str]) -> Matrix:
    """The matrix of one version and control."""
    support = {found.label: found.support for found in confusion.classes}
    most = set(sorted(labels, key=lambda label: -support.get(label, 0))[:MOST_LABELS])
    shown = [label for label in labels if label in most]
    if any(NOTHING in (cell.truth, cell.answer) for cell in confusion.cells):
        shown.append(NOTHING)
    rows = [
        MatrixRow(label or 'nothing', _cells(label, counts, shown))
        for label, counts in zip(shown, confusion.table(shown), strict=True)
    ]
    return Matrix([label or 'nothing' for label in shown], rows, len(labels) - len(most))


def _cells(truth: str, counts: Sequence[int], labels: Sequence[str]) -> list[MatrixCell]:
    total = sum(counts) or 1
    return [
        MatrixCell(count, -(-SHADES * count // total), truth == label and label != NOTHING)
        for label, count in zip(labels, counts, strict=True)
    ]
