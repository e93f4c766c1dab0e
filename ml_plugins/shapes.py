"""Remember which shapes of regions were accepted, so that a hundred thousand alike are not validated one by one.

The label config's parser stays the authority: a shape is learned only from a region that it accepted. Two regions have
the same shape when they come from the same control and their values have the same keys, kinds of values and labels. A
number is accepted without asking when it lies between two that were accepted in its place, a list's length likewise;
so a box of 40 % is known after boxes of 10 % and of 90 %, and one of 101 % is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from operator import ge, le
from typing import Any

from ml_plugins.types import Region

# Kinds of results whose validity depends on the region alone and not on what its free texts say.
# fmt: off
_LOCAL_TYPES = frozenset((
    'bitmask', 'bitmasklabels', 'brush', 'brushlabels', 'choices', 'datetime', 'ellipse', 'ellipselabels',
    'hypertextlabels', 'keypoint', 'keypointlabels', 'labels', 'number', 'ocrlabels', 'pairwise', 'paragraphlabels',
    'polygon', 'polygonlabels', 'rating', 'rectangle', 'rectanglelabels', 'taxonomy', 'textarea', 'timelinelabels',
    'timeserieslabels', 'vector', 'vectorlabels', 'videorectangle',
))
# fmt: on
_OWN_KEYS = frozenset(('from_name', 'to_name', 'type', 'value', 'id', 'score'))
# Texts that a validator may take for a number or for yes and no.
_LIKE_VALUE = re.compile(
    r'(?:[+-]?(?:[\d_.]+(?:e[+-]?[\d_]+)?|inf|infinity|nan)|true|false|yes|no|on|off|[ytnf])?', re.IGNORECASE
)
# Kinds of leaves; labels stand for themselves.
_WHOLE, _WHOLE_FLOAT, _FRACTION, _TEXT, _TRUE, _FALSE, _NONE = range(7)
_MOST_SHAPES = 4096
_Bounds = tuple[list[float], list[float]]


class _UnknownShapeError(Exception):
    """Left to the validator."""


# A name that is a list, a value that holds itself: the validator says so in its own words.
_NOT_KNOWN = (_UnknownShapeError, TypeError, RecursionError)


class AcceptedShapes:
    """Shapes of regions that fit one label config.

    Args:
        labels: All labels of the label config; they are told apart, other texts are not.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._labels = frozenset(labels)
        self._bounds: dict[tuple[Any, ...], _Bounds] = {}

    def covers(self, regions: Sequence[Region]) -> bool:
        """Whether each region is like those that were accepted before."""
        try:
            for region in regions:
                key, lows, highs = self._measure(region)
                known = self._bounds.get(key)
                if known is None or (lows and not _within(known, lows, highs)):
                    return False
        except _NOT_KNOWN:
            return False
        return True

    def learn(self, regions: Sequence[Region]) -> None:
        """Remember regions that were accepted."""
        for region in regions:
            try:
                key, lows, highs = self._measure(region)
            except _NOT_KNOWN:
                continue
            if len(self._bounds) >= _MOST_SHAPES:
                self._bounds.clear()
            known = self._bounds.get(key)
            self._bounds[key] = _widened(known, (lows, highs)) if known else (lows, highs)

    def _measure(self, region: Region) -> tuple[tuple[Any, ...], list[float], list[float]]:
        """The region's shape, and the least and greatest number in each place of it."""
        if type(region) is not Region or region.type not in _LOCAL_TYPES:
            raise _UnknownShapeError
        if region.id is not None:
            if region.type == 'labels':
                # They may belong to another region with the same id.
                raise _UnknownShapeError
            _storable(region.id)
        lows: list[float] = []
        highs: list[float] = []
        extra = None
        if region.extra:
            if not _OWN_KEYS.isdisjoint(region.extra):
                raise _UnknownShapeError
            extra = self._shape(region.extra, lows, highs)
        shape = self._shape(region.value, lows, highs)
        return (region.from_name, region.to_name, region.type, shape, extra), lows, highs

    def _shape(self, value: Any, lows: list[float], highs: list[float]) -> Any:
        kind = type(value)
        if kind is str:
            return value if value in self._labels else _text(value)
        if kind is float or kind is int:
            lows.append(value)
            highs.append(value)
            if kind is int:
                return _WHOLE
            if not math.isfinite(value):
                raise _UnknownShapeError
            return _WHOLE_FLOAT if value.is_integer() else _FRACTION
        if kind is list:
            return self._list(value, lows, highs)
        if kind is dict:
            return tuple([(_storable(key), self._shape(item, lows, highs)) for key, item in value.items()])
        if value is None:
            return _NONE
        if kind is bool:
            return _TRUE if value else _FALSE
        if isinstance(value, float):
            return self._shape(float(value), lows, highs)
        raise _UnknownShapeError

    def _list(self, values: list[Any], lows: list[float], highs: list[float]) -> tuple[Any, ...]:
        if len(values) == 1:
            return (self._shape(values[0], lows, highs),)
        lows.append(len(values))
        highs.append(len(values))
        if values and set(map(type, values)) == {int}:
            lows.append(min(values))
            highs.append(max(values))
            return (None, _WHOLE)
        found: dict[Any, _Bounds] = {}
        for value in values:
            bounds: _Bounds = ([], [])
            shape = self._shape(value, *bounds)
            found[shape] = _widened(found[shape], bounds) if shape in found else bounds
        for least, most in found.values():
            lows += least
            highs += most
        return (None, *found)


def _text(value: str) -> int:
    if _LIKE_VALUE.fullmatch(value.strip()):
        raise _UnknownShapeError
    _storable(value)
    return _TEXT


def _storable(value: Any) -> str:
    if type(value) is not str or '\x00' in value:
        raise _UnknownShapeError
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _UnknownShapeError from error
    return value


def _within(known: _Bounds, lows: list[float], highs: list[float]) -> bool:
    return all(map(le, known[0], lows)) and all(map(ge, known[1], highs))


def _widened(known: _Bounds, seen: _Bounds) -> _Bounds:
    return list(map(min, known[0], seen[0])), list(map(max, known[1], seen[1]))
