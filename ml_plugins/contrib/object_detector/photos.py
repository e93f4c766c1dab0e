"""What there is to learn: pictures with the boxes that annotators drew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_plugins.exceptions import LabelConfigError
from ml_plugins.geometry import shape_of
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.types import Example, Task

if TYPE_CHECKING:
    from PIL.Image import Image

# Of a side; thinner boxes are slips of the mouse.
_THINNEST = 0.002


@dataclass(frozen=True)
class Photo:
    """One labeled picture.

    Attributes:
        boxes: Left, top, right and bottom as shares of the picture's sides, of shape (n, 4).
        labels: Of the boxes.
    """

    task: Task
    boxes: np.ndarray
    labels: tuple[str, ...]
    held_out: bool = False


def served_control(label_config: LabelConfig) -> Control:
    """The first RectangleLabels on an Image that has labels.

    Raises:
        LabelConfigError: There is none.
    """
    for control in label_config.controls('RectangleLabels', 'Image'):
        if control.labels:
            return control
    raise LabelConfigError(
        f'it needs <RectangleLabels> with their <Label> tags on <Image>, and the label config has '
        f'{label_config.summary()}'
    )


def collect(examples: Iterable[Example], control: Control) -> list[Photo]:
    """Labeled pictures, in the order of the examples; one without boxes shows that there is nothing."""
    return [_photo(example, control) for example in examples if example.annotations]


def _photo(example: Example, control: Control) -> Photo:
    boxes, labels = [], []
    for region in example.annotation.result:
        if region.get('from_name') != control.name:
            continue
        given = region.get('value', {}).get(control.type) or ()
        label = next((name for name in given if name in control.labels), None)
        shape = shape_of(region)
        if label is None or shape is None or shape.point or len(shape.low) != 2:
            continue
        # A turned box counts by the upright one around it, and what lies beside the picture is cut off.
        box = np.clip(np.concatenate([shape.low, shape.high]) / 100, 0, 1)
        if (box[2:] - box[:2] >= _THINNEST).all():
            boxes.append(box)
            labels.append(label)
    return Photo(example.task, np.array(boxes, float).reshape(-1, 4), tuple(labels), example.held_out)


def as_square(image: Image, side: int) -> np.ndarray:
    """A picture squeezed into a square, as bytes of shape (3, side, side)."""
    from PIL.Image import Resampling

    small = image.resize((side, side), Resampling.BILINEAR, reducing_gap=2)
    return np.ascontiguousarray(np.asarray(small, np.uint8).transpose(2, 0, 1))


def seen_labels(photos: Sequence[Photo], control: Control) -> tuple[str, ...]:
    """Labels with a box to learn from, in the order of the label config."""
    seen = {label for photo in photos if not photo.held_out for label in photo.labels}
    return tuple(label for label in control.labels if label in seen)
