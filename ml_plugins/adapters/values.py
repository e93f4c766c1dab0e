"""What a model says, in its own terms: pixels, characters and its own names for labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Span:
    """A piece of a text or of a sound.

    Attributes:
        start: In characters, as Python counts them, or in seconds of a sound.
        end: Excluded.
        score: Confidence in 0..1, or None.
    """

    start: float
    end: float
    label: str
    score: float | None = None


@dataclass(frozen=True)
class Box:
    """An upright box, in pixels of the picture; the origin is its upper left corner."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str = ''
    score: float | None = None


@dataclass(frozen=True)
class Polygon:
    """An outline, its corners in pixels of the picture: pairs of x and y, or an array of shape (n, 2)."""

    points: Sequence[Sequence[float]] | np.ndarray
    label: str = ''
    score: float | None = None


@dataclass(frozen=True)
class Point:
    """A key point, in pixels of the picture."""

    x: float
    y: float
    label: str = ''
    score: float | None = None


@dataclass(frozen=True)
class Mask:
    """The pixels of one object, of shape (height, width).

    Truth values, whole numbers (anything but 0 is inside) or shares (from 0.5 on is inside). A mask of another size
    than the picture is scaled to it.
    """

    array: np.ndarray
    label: str = ''
    score: float | None = None


@dataclass(frozen=True)
class TextBox:
    """A piece of text in a picture, its box in pixels; the label says what kind of text, where there are kinds."""

    x0: float
    y0: float
    x1: float
    y1: float
    text: str
    label: str = ''
    score: float | None = None


@dataclass(frozen=True)
class Answer:
    """What a model says about one task, where there is more to say than one value.

    Attributes:
        values: A value for each control, by the control's name; or one value, which is for the first control.
        score: Confidence of the whole, 0..1; by default that of its least sure part.
        embedding: Feature vector, for active learning.
        members: Class probabilities by control of each member of a committee, for active learning.
        log_probabilities: Of each token of a sequence, for active learning.
    """

    values: Mapping[str, Any] | Any
    score: float | None = None
    embedding: np.ndarray | None = None
    members: Sequence[Mapping[str, np.ndarray]] | None = None
    log_probabilities: np.ndarray | None = None
