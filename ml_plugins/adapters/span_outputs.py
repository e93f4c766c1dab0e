"""Pieces of a text or a sound."""

from __future__ import annotations

from typing import Any

from ml_plugins.adapters.converting import Converted, Naming, Subject, items_of, least
from ml_plugins.adapters.plain_numbers import number, share_or_none
from ml_plugins.adapters.spans import within
from ml_plugins.adapters.values import Span
from ml_plugins.exceptions import PredictionError
from ml_plugins.types import Region


def spans(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`.

    Spans may overlap, as those that people make; of the very same ones the surest is kept.
    """
    found: dict[tuple[float, float, str], tuple[Span, float | None]] = {}
    for place, item in enumerate(items_of(value, Span, f'what is said about "{naming.control.name}"')):
        score = share_or_none(item.score, f'the score of span {place}')
        label, is_kept = naming.region_label(item.label)
        ends = _ends(item, place, naming, subject)
        if not is_kept or ends is None or (score is not None and score < naming.threshold):
            continue
        key = (*ends, label)
        known = found.get(key)
        if known is None or (known[1] or 0) < (score or 0):
            found[key] = (item, score)
    places = sorted(found.items(), key=lambda pair: pair[0][:2])
    regions = [_region(start, end, label, score, naming, subject) for (start, end, label), (_, score) in places]
    return Converted(regions, least([region.score for region in regions]))


def _ends(item: Span, place: int, naming: Naming, subject: Subject) -> tuple[float, float] | None:
    start, end = number(item.start, f'the start of span {place}'), number(item.end, f'the end of span {place}')
    if naming.control.object_tag == 'Audio':
        return (max(0.0, start), end) if end > max(0.0, start) else None
    if subject.text is None:
        raise PredictionError(f'spans of "{naming.control.name}" need the text: return it from read()')
    if not (start.is_integer() and end.is_integer()):
        raise PredictionError(f'span {place} goes from {start} to {end}; places in a text are whole numbers')
    ends = within(subject.text, int(start), int(end))
    if ends is None:
        naming.tell_once('spans that are empty or lie beyond the end of the text are left out')
    return ends


def _region(start: float, end: float, label: str, score: float | None, naming: Naming, subject: Subject) -> Region:
    control = naming.control
    if control.object_tag == 'Audio':
        return control.region({'start': start, 'end': end, 'channel': 0}, (label,), score)
    return control.span(int(start), int(end), label, subject.text[int(start) : int(end)], score)
