"""A project's label config as models see it: which controls label which data, with which labels.

Parsing and validation are done by ``label_studio_sdk``'s ``LabelInterface``, the parser that upstream uses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from ml_plugins.exceptions import LabelConfigError, PredictionError
from ml_plugins.plain import why_not_json
from ml_plugins.shapes import AcceptedShapes
from ml_plugins.types import Prediction, Region


@dataclass(frozen=True)
class Control:
    """One control tag, connected to one object tag.

    Attributes:
        name: The tag's name, ``from_name`` in results.
        tag: Its kind as written, e.g. ``"Choices"``.
        to_name: Name of the object tag.
        object_tag: Kind of the object tag, e.g. ``"Image"``.
        value: Key in the task's data that the object shows: ``"image"`` for ``value="$image"``.
        labels: Its labels in order; empty for tags without labels.
        attributes: Attributes as written.
        predicted_values: By label, the names that models have for it: ``predicted_values="car,automobile"``.
    """

    name: str
    tag: str
    to_name: str
    object_tag: str
    value: str
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    predicted_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The tag's kind in results, e.g. ``"rectanglelabels"``."""
        return self.tag.lower()

    @property
    def is_multiple(self) -> bool:
        """Whether several choices may be given at once."""
        return self.attributes.get('choice', 'single') == 'multiple'

    @property
    def is_per_region(self) -> bool:
        """Whether it is about single regions and not about the whole task."""
        return self.attributes.get('perRegion', 'false').lower() == 'true'

    def region(
        self,
        value: Mapping[str, Any] | None = None,
        labels: Sequence[str] = (),
        score: float | None = None,
        **extra: Any,
    ) -> Region:
        """A region of this control.

        Args:
            value: The region's geometry or content, e.g. ``{"x": 1, "y": 2, "width": 3, "height": 4}`` in percent
                of the picture's size.
            labels: Labels to give it.
            score: Confidence in 0..1.
            extra: Further keys of the result item, e.g. ``original_width``.
        """
        content = dict(value or {})
        if labels:
            content[self.type] = list(labels)
        return Region(self.name, self.to_name, self.type, content, score, extra=extra)

    def choices(self, *labels: str, score: float | None = None) -> Region:
        """The given choices of a Choices control."""
        return self.region(labels=labels, score=score)

    def rectangle(
        self, x: float, y: float, width: float, height: float, label: str = '', score: float | None = None, **extra: Any
    ) -> Region:
        """A box; all numbers in percent of the picture's size."""
        box = {'x': x, 'y': y, 'width': width, 'height': height, 'rotation': 0}
        return self.region(box, (label,) if label else (), score, **extra)

    def span(self, start: int, end: int, label: str, text: str = '', score: float | None = None) -> Region:
        """A piece of text; offsets in characters, ``end`` excluded."""
        return self.region({'start': start, 'end': end, 'text': text}, (label,), score)

    def text(self, *texts: str, score: float | None = None) -> Region:
        """The content of a TextArea control."""
        return self.region({'text': list(texts)}, score=score)

    def polygon(
        self, points: Sequence[Sequence[float]], label: str = '', score: float | None = None, **extra: Any
    ) -> Region:
        """An outline; corners as x and y in percent of the picture's size."""
        corners = {'points': [[x, y] for x, y in points], 'closed': True}
        return self.region(corners, (label,) if label else (), score, **extra)

    def brush(self, rle: Sequence[int], label: str = '', score: float | None = None, **extra: Any) -> Region:
        """A mask in Label Studio's run-length format, as `ml_plugins.brush_rle.encode_rle` makes it.

        The editor needs `extra` to say the picture's ``original_width`` and ``original_height``.
        """
        return self.region({'format': 'rle', 'rle': list(rle)}, (label,) if label else (), score, **extra)

    def number(self, number: float, score: float | None = None) -> Region:
        """The number of a Number or a Rating control; a rating is rounded."""
        return self.region({self.type: round(number) if self.type == 'rating' else number}, score=score)


class LabelConfig:
    """A parsed label config; build it with `parse_label_config`."""

    def __init__(self, xml: str) -> None:
        from label_studio_sdk.label_interface import LabelInterface

        self.xml = xml
        try:
            self._interface = LabelInterface(xml)
        except Exception as error:
            raise LabelConfigError(f'the label config cannot be parsed: {error}') from error

    @cached_property
    def all_controls(self) -> tuple[Control, ...]:
        """Every control with each object it labels, in the order of the config."""
        return tuple(
            Control(
                name=tag.name,
                tag=tag.tag,
                to_name=object_tag.name,
                object_tag=object_tag.tag,
                value=(object_tag.value or '').lstrip('$'),
                labels=tuple(tag.labels or ()),
                attributes=dict(tag.attr),
                predicted_values=_predicted_values(tag.labels_attrs),
            )
            for tag in self._interface.controls
            for object_tag in tag.objects
        )

    def controls(self, tag: str, object_tag: str | None = None) -> tuple[Control, ...]:
        """Controls of a kind, e.g. ``controls("Choices", "Image")``; kinds compare without case."""
        return tuple(
            control
            for control in self.all_controls
            if control.type == tag.lower() and (object_tag is None or control.object_tag.lower() == object_tag.lower())
        )

    def control(self, tag: str, object_tag: str | None = None) -> Control:
        """The first control of a kind.

        Raises:
            LabelConfigError: There is none.
        """
        found = self.controls(tag, object_tag)
        if not found:
            on = f' on <{object_tag}>' if object_tag else ''
            raise LabelConfigError(f'the label config has no <{tag}>{on}; it has {self.summary()}')
        return found[0]

    def summary(self) -> str:
        """The controls in one phrase, for messages."""
        pairs = dict.fromkeys(f'<{control.tag}> on <{control.object_tag}>' for control in self.all_controls)
        return ', '.join(pairs) or 'no control tags'

    def check(self, prediction: Prediction) -> None:
        """Refuse a prediction that does not fit the label config.

        Raises:
            PredictionError: Names the region, the field and the value.
        """
        for index, region in enumerate(prediction.regions):
            if not isinstance(region, Region):
                raise PredictionError(f'region {index} is a {type(region).__name__}, not a Region')
            if region.score is not None and not _is_share(region.score):
                raise PredictionError(f'region {index}: score {region.score!r} is not a number in 0..1')
        if prediction.score is not None and not _is_share(prediction.score):
            raise PredictionError(f'score {prediction.score!r} is not a number in 0..1')
        if self._accepted.covers(prediction.regions):
            return
        result = prediction.result()
        for index, item in enumerate(result):
            if reason := why_not_json(item):
                raise PredictionError(f'region {index} cannot be stored: {reason}. Use plain numbers, texts and lists')
        errors = self._interface.validate_prediction({'result': result}, return_errors=True)
        if errors:
            raise PredictionError('; '.join(errors))
        self._accepted.learn(prediction.regions)

    @cached_property
    def _accepted(self) -> AcceptedShapes:
        return AcceptedShapes(label for control in self.all_controls for label in control.labels)


def _predicted_values(labels: Mapping[str, Any] | None) -> dict[str, tuple[str, ...]]:
    found = {}
    for label, tag in (labels or {}).items():
        names = tuple(filter(None, map(str.strip, tag.attr.get('predicted_values', '').split(','))))
        if names:
            found[label] = names
    return found


def _is_share(score: Any) -> bool:
    if type(score) is float:
        return 0.0 <= score <= 1.0
    try:
        return math.isfinite(score) and 0.0 <= score <= 1.0
    except TypeError:
        return False


@lru_cache(maxsize=256)
def parse_label_config(xml: str) -> LabelConfig:
    """Parse a label config; parsed ones are kept, keyed by their text.

    Raises:
        LabelConfigError: It is not valid.
    """
    return LabelConfig(xml)
