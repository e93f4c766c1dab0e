"""Which labels a version gives where people give which: per class and as a matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.quality.answers import HeldOutAnswer, Result
from ml_plugins.agreement import SAME_REGION
from ml_plugins.geometry import overlap, shape_of

# Stands in a pair for "people say nothing here" or "the version says nothing here".
NOTHING = ''


@dataclass(frozen=True)
class ClassFigures:
    """How well a version knows one label.

    Attributes:
        support: How often people give it.
        precision: Share of its answers with this label that are right; None when it never gives it.
        recall: Share of what people gave that it finds; None when people never give it.
        f1: Harmonic mean of both; None when neither ever gives it.
    """

    label: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix that is not 0; an empty label stands for "nothing"."""

    truth: str
    answer: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """What one version makes of one control.

    Attributes:
        classes: Figures in the order of the labels.
        cells: Cells that are not 0, by truth and answer in that order.
    """

    classes: Sequence[ClassFigures]
    cells: Sequence[Cell]

    def table(self, labels: Sequence[str]) -> list[list[int]]:
        """The matrix with a row for each truth and a column for each answer; add ``''`` to see what is missing."""
        counts = {(cell.truth, cell.answer): cell.count for cell in self.cells}
        return [[counts.get((truth, answer), 0) for answer in labels] for truth in labels]


def label_controls(results: Iterable[Result]) -> dict[str, str]:
    """Kind by name of the controls in these results that give labels."""
    return {
        str(item['from_name']): str(item.get('type'))
        for result in results
        for item in result
        if item.get('from_name') and _gives_labels(str(item.get('type')))
    }


def confusion_of(answers: Iterable[HeldOutAnswer], control: str, order: Sequence[str]) -> Confusion:
    """The confusion of a version's answers with the truth.

    Args:
        control: Name of the control.
        order: Labels in the order to list them.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for item in answers:
        pairs.update(_pairs(_of(item.truth, control), _of(item.answer, control)))
    place = {label: index for index, label in enumerate(order)}
    cells = sorted(pairs.items(), key=lambda cell: [(place.get(label, len(place)), label) for label in cell[0]])
    return Confusion([_figures(label, pairs) for label in order], [Cell(*pair, count) for pair, count in cells])


def labels_in(results: Iterable[Result], control: str) -> set[str]:
    """Every label that these results give with a control."""
    return {label for result in results for item in _of(result, control) for label in _labels(item)}


def _figures(label: str, pairs: Mapping[tuple[str, str], int]) -> ClassFigures:
    right = pairs.get((label, label), 0)
    support = sum(count for (truth, _), count in pairs.items() if truth == label)
    given = sum(count for (_, answer), count in pairs.items() if answer == label)
    f1 = 2 * right / (support + given) if support + given else None
    return ClassFigures(label, support, right / given if given else None, right / support if support else None, f1)


def _gives_labels(kind: str) -> bool:
    return kind in ('choices', 'taxonomy') or kind.endswith('labels')


def _of(result: Result, control: str) -> list[Mapping[str, Any]]:
    return [item for item in result if item.get('from_name') == control and isinstance(item.get('value'), Mapping)]


def _labels(item: Mapping[str, Any]) -> list[str]:
    """The labels of one region; of a taxonomy its paths."""
    found = item['value'].get(item.get('type'))
    if not isinstance(found, (list, tuple)):
        return []
    return [' / '.join(map(str, label)) if isinstance(label, (list, tuple)) else str(label) for label in found]


def _pairs(truth: list[Mapping[str, Any]], answer: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    if any(shape_of(item) is not None for item in (*truth, *answer)):
        return _region_pairs(truth, answer)
    wanted, given = ({label for item in items for label in _labels(item)} for items in (truth, answer))
    return _matched(wanted, given)


def _matched(wanted: set[str], given: set[str]) -> list[tuple[str, str]]:
    """Labels found, and those confused; of several that differ nobody can say which one was taken for which."""
    pairs = [(label, label) for label in wanted & given]
    missed, added = sorted(wanted - given), sorted(given - wanted)
    if len(missed) == len(added) == 1:
        return [*pairs, (missed[0], added[0])]
    return [*pairs, *((label, NOTHING) for label in missed), *((NOTHING, label) for label in added)]


def _region_pairs(truth: list[Mapping[str, Any]], answer: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Regions that overlap by half belong together; the same labels go before others."""
    shares = [
        (_labels(one) == _labels(other), share, i, j)
        for i, one in enumerate(truth)
        for j, other in enumerate(answer)
        if (share := overlap(shape_of(one), shape_of(other))) >= SAME_REGION
    ]
    pairs: list[tuple[str, str]] = []
    left, right = set(range(len(truth))), set(range(len(answer)))
    for _, _, i, j in sorted(shares, key=lambda item: item[:2], reverse=True):
        if i in left and j in right:
            left.discard(i)
            right.discard(j)
            pairs += _matched(set(_labels(truth[i])), set(_labels(answer[j])))
    pairs += [(label, NOTHING) for i in left for label in _labels(truth[i])]
    pairs += [(NOTHING, label) for j in right for label in _labels(answer[j])]
    return pairs
