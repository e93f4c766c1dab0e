"""From what a model says to Label Studio's regions, by the kind of control that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_plugins.adapters import picture_outputs
from ml_plugins.adapters.choice_outputs import choices, taxonomy
from ml_plugins.adapters.converting import Converted, Naming, Subject
from ml_plugins.adapters.plain_numbers import number, share_or_none
from ml_plugins.adapters.span_outputs import spans
from ml_plugins.adapters.values import TextBox
from ml_plugins.exceptions import PredictionError
from ml_plugins.label_config import Control
from ml_plugins.plain import storable_text

__all__ = ['Converted', 'Naming', 'Subject', 'convert']


def convert(value: Any, naming: Naming, subject: Subject | None = None) -> Converted:
    """Regions of one control, of what a model says about one task.

    What may be said depends on the control:

    * Choices: a label, several, ``{label: probability}``, or an array of probabilities;
    * Taxonomy: a path, i.e. a list of labels, or several;
    * Labels of a text or a sound: spans, as `Span` or ``(start, end, label[, score])``;
    * RectangleLabels, Rectangle: boxes, as `Box` or ``(x0, y0, x1, y1[, label[, score]])`` in pixels;
    * PolygonLabels, Polygon: `Polygon` or ``(points[, label[, score]])``; KeyPointLabels: `Point` or ``(x, y, ...)``;
    * BrushLabels, Brush: `Mask`, several, ``{label: array}``, or one array with the number of a label in each pixel,
      0 for none;
    * TextArea: a text, several, or `TextBox` of a picture;
    * Number, Rating: a number.

    Args:
        value: What the model says; None for nothing.
        naming: The control, and how the model names its labels.
        subject: What is labeled: the text, or the picture's size.

    Raises:
        PredictionError: It is none of these, or holds what cannot be stored; says what.
    """
    subject = subject or Subject()
    if value is None:
        return Converted()
    kind = naming.control.type
    converter = _CONVERTERS.get(kind)
    if converter is None:
        known = ', '.join(sorted(_CONVERTERS))
        raise PredictionError(f'there is no converter for <{naming.control.tag}>; there are those for {known}')
    return converter(value, naming, subject)


def _number(value: Any, naming: Naming, subject: Subject) -> Converted:
    control = naming.control
    found = number(value, f'the number of "{control.name}"')
    low, high = _limits(control)
    found = max(low, min(high, found))
    return Converted([control.number(found)])


def _limits(control: Control) -> tuple[float, float]:
    """What the control takes; a model that extrapolates goes beyond."""
    if control.type == 'rating':
        return 1, float(control.attributes.get('maxRating') or 5)
    low, high = (control.attributes.get(name) for name in ('min', 'max'))
    return float(low) if low else float('-inf'), float(high) if high else float('inf')


def _texts(value: Any, naming: Naming, subject: Subject) -> Converted:
    items = [value] if isinstance(value, (str, TextBox, Mapping)) else value
    if not isinstance(items, Sequence):
        raise PredictionError(f'"{naming.control.name}" takes texts, and the model gave {type(value).__name__}')
    if any(not isinstance(item, str) for item in items):
        return picture_outputs.text_boxes(items, naming, subject)
    texts = [storable_text(item) for item in items if item.strip()]
    return Converted([naming.control.text(*texts)] if texts else [])


def _scored_text(value: Any, naming: Naming, subject: Subject) -> Converted:
    """A text with its score, as ``(text, score)``, or what `_texts` takes."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and not isinstance(value[1], str):
        score = share_or_none(value[1], f'the score of "{naming.control.name}"')
        text = storable_text(value[0])
        return Converted([naming.control.text(text, score=score)] if text.strip() else [], score)
    return _texts(value, naming, subject)


_Converter = Callable[[Any, Naming, Subject], Converted]
_CONVERTERS: Mapping[str, _Converter] = {
    'choices': choices,
    'taxonomy': taxonomy,
    'labels': spans,
    'rectanglelabels': picture_outputs.boxes,
    'rectangle': picture_outputs.boxes,
    'polygonlabels': picture_outputs.polygons,
    'polygon': picture_outputs.polygons,
    'keypointlabels': picture_outputs.points,
    'keypoint': picture_outputs.points,
    'brushlabels': picture_outputs.masks,
    'brush': picture_outputs.masks,
    'textarea': _scored_text,
    'number': _number,
    'rating': _number,
}
