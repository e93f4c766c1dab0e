"""Lines of text, and the order in which people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A gap between columns is at least as wide as a line is high, and there are this many lines on each side of it.
_COLUMN_LINES = 3


@dataclass(frozen=True)
class Line:
    """One line of text.

    Attributes:
        corners: In pixels, of shape (4, 2), clockwise; the first is where reading begins, above.
        score: How sure the engine is, 0..1.
    """

    text: str
    corners: np.ndarray
    score: float

    @property
    def low(self) -> np.ndarray:
        """Left and top."""
        return self.corners.min(axis=0)

    @property
    def high(self) -> np.ndarray:
        """Right and bottom."""
        return self.corners.max(axis=0)


def in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """Columns from left to right, each from top to bottom; what lies side by side from left to right.

    The page is cut in two where a gap goes across it, columns first, and each half again.
    """
    if len(lines) < 2:
        return list(lines)
    height = float(np.median([line.high[1] - line.low[1] for line in lines]))
    halves = _cut(lines, 0, height, _COLUMN_LINES) or _cut(lines, 1, 0.0, 1)
    if halves is None:
        return _in_rows(lines)
    return [line for half in halves for line in in_reading_order(half)]


def _cut(lines: Sequence[Line], axis: int, gap: float, least: int) -> tuple[list[Line], list[Line]] | None:
    """Both sides of the widest gap along an axis; None where none is so wide, or one side has too few lines."""
    ordered = sorted(lines, key=lambda line: line.low[axis])
    reach, found, widest = ordered[0].high[axis], None, gap
    for place, line in enumerate(ordered[1:], start=1):
        if line.low[axis] - reach > widest and min(place, len(ordered) - place) >= least:
            found, widest = place, line.low[axis] - reach
        reach = max(reach, line.high[axis])
    return None if found is None else (ordered[:found], ordered[found:])


def _in_rows(lines: Sequence[Line]) -> list[Line]:
    """Rows that overlap a little, as on a page that was photographed askew."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.low[1] + line.high[1]):
        middle = (line.low[1] + line.high[1]) / 2
        if rows and middle < rows[-1][0].high[1] and not _above(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.low[0])]


def _above(one: Line, other: Line) -> bool:
    """Whether a line lies over another one rather than beside it."""
    shared = min(one.high[0], other.high[0]) - max(one.low[0], other.low[0])
    return shared > 0.3 * min(one.high[0] - one.low[0], other.high[0] - other.low[0])
