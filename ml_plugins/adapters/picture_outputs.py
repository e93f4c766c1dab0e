"""Places in a picture: from pixels to percent of its size, within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2s
from typing import Any

import numpy as np

from ml_plugins.adapters.converting import Converted, Naming, Subject, items_of, least
from ml_plugins.adapters.masks import plane, to_mask
from ml_plugins.adapters.plain_numbers import array, is_array, number, share_or_none
from ml_plugins.adapters.values import Box, Mask, Point, Polygon, TextBox
from ml_plugins.brush_rle import encode_rle
from ml_plugins.exceptions import PredictionError
from ml_plugins.plain import storable_text
from ml_plugins.types import Region

_OUTSIDE = 'regions that lie outside of the picture are left out'
_ENOUGH_CORNERS = 3


def boxes(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`. What is beyond the picture's edges is cut off."""
    size = _size(naming, subject)
    regions = []
    for place, box in enumerate(items_of(_rows(value), Box, _about(naming))):
        kept = _kept(box.label, box.score, f'box {place}', naming)
        percent = kept and _box(box, f'box {place}', size)
        if kept and percent:
            regions.append(naming.control.rectangle(*percent, *kept, **_extra(size)))
        elif kept:
            naming.tell_once(_OUTSIDE)
    return _converted(regions)


def polygons(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`. Corners beyond the picture's edges are moved onto them."""
    size = _size(naming, subject)
    regions = []
    for place, polygon in enumerate(items_of(value, Polygon, _about(naming))):
        kept = _kept(polygon.label, polygon.score, f'polygon {place}', naming)
        corners = kept and _corners(polygon, f'polygon {place}', size)
        if kept and corners:
            regions.append(naming.control.polygon(corners, *kept, **_extra(size)))
        elif kept:
            naming.tell_once(_OUTSIDE)
    return _converted(regions)


def points(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`."""
    size = _size(naming, subject)
    regions = []
    for place, point in enumerate(items_of(value, Point, _about(naming))):
        kept = _kept(point.label, point.score, f'point {place}', naming)
        x, y = _percent(point.x, size[0], f'x of point {place}'), _percent(point.y, size[1], f'y of point {place}')
        if kept and 0 <= x <= 100 and 0 <= y <= 100:
            label, score = kept
            place_and_width = {'x': x, 'y': y, 'width': 0.5}
            regions.append(naming.control.region(place_and_width, (label,) if label else (), score, **_extra(size)))
        elif kept:
            naming.tell_once(_OUTSIDE)
    return _converted(regions)


def masks(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`. Masks without a pixel are left out."""
    size = _size(naming, subject)
    regions = []
    for place, mask in enumerate(_masks(value, naming)):
        kept = _kept(mask.label, mask.score, f'mask {place}', naming)
        pixels = to_mask(mask.array, size, f'mask {place}') if kept else None
        if pixels is not None and pixels.any():
            regions.append(naming.control.brush(encode_rle(pixels), *kept, **_extra(size)))
    return _converted(regions)


def text_boxes(value: Any, naming: Naming, subject: Subject) -> Converted:
    """Texts with their boxes: a region of the TextArea and one of each companion, under one number."""
    area = naming.control
    shapes = [control for control in naming.companions if control.type.startswith('rectangle')]
    if not shapes:
        raise PredictionError(
            f'texts with boxes need a <Rectangle> or <RectangleLabels> on the same picture as <TextArea '
            f'name="{area.name}">, and the label config has none'
        )
    size = _size(naming, subject)
    regions = []
    for place, item in enumerate(items_of(value, TextBox, _about(naming))):
        score = share_or_none(item.score, f'the score of text {place}')
        percent = _box(Box(item.x0, item.y0, item.x1, item.y1), f'text {place}', size)
        if percent is None:
            naming.tell_once(_OUTSIDE)
        elif item.text.strip() and (score is None or score >= naming.threshold):
            regions += _text_regions((item, place), percent, score, naming, _extra(size))
    return _converted(regions)


def _text_regions(
    numbered: tuple[TextBox, int],
    percent: tuple[float, ...],
    score: float | None,
    naming: Naming,
    extra: Mapping[str, Any],
) -> list[Region]:
    """The parts of one text: they have one id, by which the editor puts them together."""
    item, place = numbered
    box = dict(zip(('x', 'y', 'width', 'height'), percent, strict=True)) | {'rotation': 0}
    # The same answer has the same ids, so that asking twice changes nothing.
    identifier = blake2s(f'{naming.control.name} {place} {percent} {item.text}'.encode(), digest_size=5).hexdigest()
    parts = []
    for control in naming.companions:
        label = _text_label(item, control, naming)
        if control.type == 'rectangle' or label:
            parts.append(control.region(box, (label,) if label else (), score, **extra))
    parts.append(naming.control.region({**box, 'text': [storable_text(item.text)]}, (), score, **extra))
    return [replace(part, id=identifier) for part in parts]


def _text_label(item: TextBox, control: Any, naming: Naming) -> str:
    from ml_plugins.adapters.labels import LabelMatcher

    if control.type == 'rectangle' or not control.labels:
        return ''
    if not item.label:
        if control.type == 'rectanglelabels' and len(control.labels) > 1:
            raise PredictionError(
                f'a text for "{control.name}" has no label, and there are several: {", ".join(control.labels)}'
            )
        return control.labels[0] if len(control.labels) == 1 else ''
    matcher = LabelMatcher(control)
    label = matcher.match(item.label)
    if label is None:
        naming.tell_once(matcher.unknown(item.label))
    return label or ''


def _masks(value: Any, naming: Naming) -> list[Mask]:
    if isinstance(value, Mapping) and 'array' not in value:
        return [Mask(pixels, str(label)) for label, pixels in value.items()]
    if not is_array(value):
        return items_of(value, Mask, _about(naming))
    found = plane(value)
    if found.dtype.kind in 'iu' and found.ndim == 2 and len(naming.names) > 1:
        # One number a pixel: 0 for none, then the labels in order.
        return [Mask(found == place, naming.name_of(int(place) - 1)) for place in np.unique(found) if place > 0]
    return [Mask(found)]


def _kept(label: Any, score: Any, what: str, naming: Naming) -> tuple[str, float | None] | None:
    """The control's label and the score; None for a region that is not wanted."""
    likely = share_or_none(score, f'the score of {what}')
    found, is_kept = naming.region_label(label)
    return (found, likely) if is_kept and (likely is None or likely >= naming.threshold) else None


def _box(box: Box, what: str, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    xs = sorted(_percent(x, size[0], f'x of {what}') for x in (box.x0, box.x1))
    ys = sorted(_percent(y, size[1], f'y of {what}') for y in (box.y0, box.y1))
    (left, right), (top, bottom) = (tuple(min(100.0, max(0.0, end)) for end in ends) for ends in (xs, ys))
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _corners(polygon: Polygon, what: str, size: tuple[int, int]) -> list[tuple[float, float]] | None:
    found = array(polygon.points)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < _ENOUGH_CORNERS:
        raise PredictionError(f'{what} has corners of shape {found.shape}; it needs three or more pairs of x and y')
    if found.dtype.kind not in 'iuf' or not np.isfinite(found).all():
        raise PredictionError(f'{what} has corners that are no finite numbers')
    percent = np.clip(found * 100.0 / np.array(size, dtype=float), 0, 100)
    extent = percent.max(axis=0) - percent.min(axis=0)
    return [(x, y) for x, y in percent.tolist()] if (extent > 0).all() else None


def _percent(pixels: Any, side: int, what: str) -> float:
    return number(pixels, what) * 100.0 / side


def _rows(value: Any) -> Any:
    """Boxes that come as one array of shape (n, 4)."""
    if is_array(value):
        found = array(value)
        return found.reshape(-1, 4) if found.size and found.shape[-1] == 4 else found
    return value


def _size(naming: Naming, subject: Subject) -> tuple[int, int]:
    if subject.size is None:
        raise PredictionError(
            f'regions of "{naming.control.name}" need the size of the picture: return the picture from read(), or '
            'override size()'
        )
    return subject.size


def _extra(size: tuple[int, int]) -> dict[str, int]:
    return {'original_width': size[0], 'original_height': size[1], 'image_rotation': 0}


def _about(naming: Naming) -> str:
    return f'what is said about "{naming.control.name}"'


def _converted(regions: Sequence[Region]) -> Converted:
    return Converted(regions, least([region.score for region in regions]))
