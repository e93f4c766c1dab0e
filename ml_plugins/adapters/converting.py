"""What every converter gets and gives."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from ml_plugins.adapters.labels import LabelMatcher
from ml_plugins.exceptions import PredictionError
from ml_plugins.label_config import Control
from ml_plugins.types import Region

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)
Item = TypeVar('Item')


@dataclass(frozen=True)
class Subject:
    """What a model looked at.

    Attributes:
        text: The text, for spans.
        size: The picture's width and height in pixels, upright.
    """

    text: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Converted:
    """Regions of one control.

    Attributes:
        score: Of the least sure one; None where the model gives no scores.
        probabilities: Of the control's labels in their order, shape (labels,), for active learning.
    """

    regions: Sequence[Region] = ()
    score: float | None = None
    probabilities: np.ndarray | None = None


@dataclass(frozen=True)
class Naming:
    """How a model speaks about one control.

    Attributes:
        matcher: Finds the control's label for the model's name.
        labels: The model's own names, in the order of its outputs; empty for those of the control.
        threshold: Scores below it say no: of a label of a multiple choice, of a region.
        companions: Controls that the regions of a `TextBox` are made with, besides the TextArea.
    """

    matcher: LabelMatcher
    labels: Sequence[str] = ()
    threshold: float = 0.5
    companions: Sequence[Control] = ()
    _told: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def control(self) -> Control:
        """The control."""
        return self.matcher.control

    @property
    def names(self) -> Sequence[str]:
        """The model's names, in the order of its outputs."""
        return self.labels or self.control.labels

    def name_of(self, place: int) -> str:
        """The model's name at a place of its outputs. Raises `PredictionError`."""
        if not 0 <= place < len(self.names):
            raise PredictionError(
                f'the model gave label number {place}, and it has {len(self.names)} labels: {", ".join(self.names)}'
            )
        return self.names[place]

    def region_label(self, name: Any) -> tuple[str, bool]:
        """The control's label for a region, and whether the region is to be kept.

        A region without a name gets the only label there is. Raises `PredictionError` where there are several.
        """
        labels = self.control.labels
        if name is None or name == '':
            if len(labels) > 1:
                raise PredictionError(
                    f'a region for "{self.control.name}" has no label, and there are several: {", ".join(labels)}'
                )
            return (labels[0] if labels else ''), True
        if not labels:
            return '', True
        if not isinstance(name, str) and hasattr(name, '__index__'):
            name = self.name_of(int(name))
        found = self.matcher.match_or_report(str(name))
        return found or '', found is not None

    def tell_once(self, what: str) -> None:
        """Log something that happens again and again, the first time."""
        if what not in self._told:
            self._told.add(what)
            logger.warning('"%s": %s', self.control.name, what)


def items_of(value: Any, kind: type[Item], what: str) -> list[Item]:
    """Values of a list as `kind`; tuples, lists and mappings are turned into it.

    Raises:
        PredictionError: One of them has too few or too many parts.
    """
    if isinstance(value, (kind, Mapping)):
        value = [value]
    if not hasattr(value, '__iter__') or isinstance(value, str):
        raise PredictionError(f'{what} must be a list of {kind.__name__}, not {value!r}')
    return [_item(item, kind, what) for item in value]


def _item(item: Any, kind: type[Item], what: str) -> Item:
    if isinstance(item, kind):
        return item
    names = ', '.join(part.name for part in fields(kind))
    try:
        return kind(**item) if isinstance(item, Mapping) else kind(*item)
    except TypeError:
        raise PredictionError(f'{what}: {item!r} is no {kind.__name__}; it takes ({names})') from None


def least(scores: Sequence[float | None]) -> float | None:
    """The lowest score there is."""
    return min((score for score in scores if score is not None), default=None)
