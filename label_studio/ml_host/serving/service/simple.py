"""Predictions as plain labels, boxes and spans, for programs that do not know Label Studio."""

from __future__ import annotations

from typing import Any

from ml_plugins.types import Prediction, Region

_BOX = ('x', 'y', 'width', 'height')
_SPAN = ('start', 'end')


def simplified(prediction: Prediction) -> dict[str, Any]:
    """A prediction by kind of content; ``control`` is the name of the tag that each item belongs to.

    Returns:
        ``labels`` of the whole item, ``boxes`` (in percent of the picture, and in pixels where its size is known),
        ``spans`` of text or sound, ``texts``, and ``other`` for what is none of these, in Label Studio's format.
    """
    found: dict[str, Any] = {'labels': [], 'boxes': [], 'spans': [], 'texts': [], 'other': []}
    for region in prediction.regions:
        kind, items = _simple(region)
        found[kind] += [{'control': region.from_name, **item, 'score': _score(region)} for item in items]
    return {'score': _number(prediction.score), **found}


def _simple(region: Region) -> tuple[str, list[dict[str, Any]]]:
    value = region.value
    labels = _labels(region)
    if all(key in value for key in _BOX):
        return 'boxes', [{'label': labels[0] if labels else None, **_box(region)}]
    if all(key in value for key in _SPAN):
        span = {key: value[key] for key in (*_SPAN, 'text') if key in value}
        return 'spans', [{'label': labels[0] if labels else None, **span}]
    if region.type == 'textarea' and isinstance(value.get('text'), list):
        return 'texts', [{'text': text} for text in value['text']]
    if region.type in value and isinstance(value[region.type], (str, int, float)):
        return 'labels', [{'label': value[region.type]}]
    if labels and set(value) == {region.type}:
        return 'labels', [{'label': label} for label in labels]
    return 'other', [{'type': region.type, 'value': dict(value)}]


def _labels(region: Region) -> list[str]:
    labels = region.value.get(region.type)
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, (list, tuple)) else []


def _box(region: Region) -> dict[str, Any]:
    box = {key: region.value[key] for key in _BOX}
    width, height = region.extra.get('original_width'), region.extra.get('original_height')
    if width and height:
        box['pixels'] = {
            'x': box['x'] * width / 100,
            'y': box['y'] * height / 100,
            'width': box['width'] * width / 100,
            'height': box['height'] * height / 100,
        }
    if region.value.get('rotation'):
        box['rotation'] = region.value['rotation']
    return box


def _score(region: Region) -> float | None:
    return _number(region.score)


def _number(score: Any) -> float | None:
    return None if score is None else float(score)
