"""Lines of text as Label Studio's OCR templates want them: several results of one region, which share its number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.contrib.ocr.lines import Line
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.types import Region

_BOXES = ('RectangleLabels', 'Rectangle')
_OUTLINES = ('PolygonLabels', 'Polygon')
# Lines that are less askew get an upright box, in degrees.
_UPRIGHT = 1.5


@dataclass(frozen=True)
class Layout:
    """Which controls take what of a line.

    Attributes:
        text: The TextArea.
        shape: A Rectangle, RectangleLabels, Polygon or PolygonLabels; None where the text is of the whole picture.
        labels: A Labels tag beside a shape without labels; None where there is none.
        label: The label of each line; empty where there are no labels.
    """

    text: Control
    shape: Control | None
    labels: Control | None
    label: str


def layout_of(label_config: LabelConfig, shape: str = 'box', label: str = '') -> Layout:
    """Where the lines go.

    Args:
        shape: ``box`` or ``polygon``, preferred where the label config has both.
        label: Of the lines; empty for "Text" where there is such a label, else for the first.

    Raises:
        LabelConfigError: A tag or the label is missing.
    """
    texts = label_config.controls('TextArea', 'Image')
    if not texts:
        raise LabelConfigError(f'it needs <TextArea> on <Image>, and the label config has {label_config.summary()}')
    order = (*_BOXES, *_OUTLINES) if shape == 'box' else (*_OUTLINES, *_BOXES)
    for text in texts:
        found = [item for tag in order for item in label_config.controls(tag, 'Image') if item.to_name == text.to_name]
        if not found:
            continue
        labels = None
        if not found[0].labels:
            labels = next((item for item in label_config.controls('Labels', 'Image') if item.labels), None)
        return Layout(text, found[0], labels, _label(labels or found[0], label))
    if texts[0].attributes.get('perRegion', 'false').lower() == 'true':
        raise LabelConfigError(
            'its <TextArea> with perRegion needs <RectangleLabels>, <Rectangle>, <PolygonLabels> or <Polygon> beside '
            f'it, and the label config has {label_config.summary()}'
        )
    return Layout(texts[0], None, None, '')


def _label(control: Control, wanted: str) -> str:
    if wanted and wanted not in control.labels:
        known = ', '.join(control.labels) or 'none'
        raise LabelConfigError(f'<{control.tag} name="{control.name}"> has no label "{wanted}"; it has {known}')
    text = next((name for name in control.labels if name.lower() == 'text'), '')
    return wanted or text or next(iter(control.labels), '')


def as_regions(lines: Sequence[Line], layout: Layout, width: int, height: int) -> list[Region]:
    """The lines, in the order given, as regions of a picture of this size."""
    if layout.shape is None:
        whole = '\n'.join(line.text for line in lines)
        score = min((line.score for line in lines), default=None)
        return [layout.text.text(whole, score=score)] if whole else []
    return [
        region
        for number, line in enumerate(lines)
        for region in _regions(line, _name(number, line), layout, layout.shape, width, height)
    ]


def _regions(line: Line, name: str, layout: Layout, shape: Control, width: int, height: int) -> list[Region]:
    place = _box(line, width, height) if shape.tag in _BOXES else _outline(line, width, height)
    if place is None:
        return []
    size = {'original_width': width, 'original_height': height, 'image_rotation': 0}
    own = (layout.label,) if shape.labels else ()
    parts: list[tuple[Control, dict[str, Any], tuple[str, ...]]] = [(shape, place, own)]
    if layout.labels is not None:
        parts.append((layout.labels, place, (layout.label,)))
    parts.append((layout.text, {**place, 'text': [line.text]}, ()))
    made = [control.region(value, labels, line.score, **size) for control, value, labels in parts]
    return [Region(r.from_name, r.to_name, r.type, r.value, r.score, name, r.extra) for r in made]


def _box(line: Line, width: int, height: int) -> dict[str, Any] | None:
    """An upright box cut off at the picture's sides, or a turned one for a line that is askew."""
    across, down = line.corners[1] - line.corners[0], line.corners[3] - line.corners[0]
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    if abs(angle) >= _UPRIGHT:
        # Label Studio turns a box around its upper left corner.
        x, y = np.clip(line.corners[0], 0, (width, height))
        sides = np.linalg.norm(across), np.linalg.norm(down)
        return _percent(x, y, *sides, width, height, angle % 360) if min(sides) > 0 else None
    low, high = np.clip(line.low, 0, (width, height)), np.clip(line.high, 0, (width, height))
    return _percent(*low, *(high - low), width, height, 0) if (high > low).all() else None


def _percent(x: float, y: float, wide: float, high: float, width: int, height: int, rotation: float) -> dict[str, Any]:
    places = {'x': x / width, 'y': y / height, 'width': wide / width, 'height': high / height}
    return {**{key: float(min(share, 1.0)) * 100 for key, share in places.items()}, 'rotation': rotation}


def _outline(line: Line, width: int, height: int) -> dict[str, Any] | None:
    corners = np.clip(line.corners, 0, (width, height)) / (width, height) * 100
    if (corners.max(axis=0) <= corners.min(axis=0)).any():
        return None
    return {'points': corners.tolist(), 'closed': True}


def _name(number: int, line: Line) -> str:
    """The region's number: the same for the same line, so that a prediction can be made again."""
    return hashlib.sha256(f'{number} {line.text} {line.corners.tolist()}'.encode()).hexdigest()[:10]
