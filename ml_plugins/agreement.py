"""How far two answers to one task agree, 0..1: what a model says and what people say, or what two people say."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ml_plugins.geometry import Shape, overlap, shape_of

Result = Sequence[Mapping[str, Any]]

# From this overlap on two regions with the same labels count as the same one.
SAME_REGION = 0.5
# Longer texts are compared word by word: comparing letters takes the product of both lengths.
_LONGEST_BY_LETTERS = 500
_MOST_WORDS = 2000


def agreement(answer: Result, truth: Result, controls: Collection[str] | None = None) -> float:
    """How far two results of Label Studio agree.

    The mean over controls. Choices and taxonomies: shared ones among all that either gives. Ratings and numbers: one
    less the relative difference. Texts: similarity by letters, of long ones by words. Regions (spans, boxes, ellipses,
    polygons): F1, where two are the same when their labels are and they overlap by half; masks and boxes in videos by
    their labels alone. Anything else agrees when it is equal. Relations and scores do not count.

    Args:
        answer: Regions in Label Studio's format.
        truth: The other ones; the order of the two makes no difference.
        controls: Names of the controls that count; None for all that either result uses.

    Returns:
        1.0 when they say the same, also when both say nothing.
    """
    given, wanted = _by_control(answer, controls), _by_control(truth, controls)
    names = given.keys() | wanted.keys()
    if not names:
        return 1.0
    return sum(_agree(given.get(name, []), wanted.get(name, [])) for name in sorted(names)) / len(names)


def controls_of(result: Result) -> frozenset[str]:
    """Names of the controls that a result uses."""
    return frozenset(name for name, _ in _by_control(result, None))


def content_of(region: Mapping[str, Any]) -> Any:
    """What a region says: labels, texts, a number; the whole value where it says nothing besides its place."""
    value, kind = region['value'], str(region.get('type', ''))
    name = {'textarea': 'text', 'pairwise': 'selected', 'videorectangle': 'labels'}.get(kind, kind)
    return value[name] if name in value else dict(value)


def _by_control(result: Result, controls: Collection[str] | None) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for item in result:
        # A relation has no control; what is no region at all says nothing.
        if not isinstance(item, Mapping) or not isinstance(item.get('value'), Mapping) or not item.get('from_name'):
            continue
        name = str(item['from_name'])
        if (controls is None or name in controls) and _says_something(item):
            found.setdefault((name, str(item.get('to_name', ''))), []).append(item)
    return found


def _agree(given: list[Mapping[str, Any]], wanted: list[Mapping[str, Any]]) -> float:
    if not given or not wanted:
        return 0.0
    if any(shape_of(item) is not None for item in (*given, *wanted)):
        return _same_regions(given, wanted)
    return _COMPARED.get(str(wanted[0].get('type')), _equal_contents)(given, wanted)


def _shared(one: Collection[Any], other: Collection[Any]) -> float:
    together = len(set(one) | set(other))
    return len(set(one) & set(other)) / together if together else 1.0


def _equal_contents(given: list[Mapping[str, Any]], wanted: list[Mapping[str, Any]]) -> float:
    """Items of lists (choices, paths of a taxonomy) one by one, other contents as a whole."""
    return _shared(_items(given), _items(wanted))


def _items(regions: list[Mapping[str, Any]]) -> set[str]:
    found: set[str] = set()
    for region in regions:
        content = content_of(region)
        found.update(map(_key, content) if isinstance(content, (list, tuple)) else [_key(content)])
    return found


def _says_something(region: Mapping[str, Any]) -> bool:
    return content_of(region) not in (None, [], {}, '') or shape_of(region) is not None


def _key(content: Any) -> str:
    return json.dumps(content, sort_keys=True, default=str)


def _numbers(given: list[Mapping[str, Any]], wanted: list[Mapping[str, Any]]) -> float:
    try:
        one, other = float(content_of(given[-1])), float(content_of(wanted[-1]))
    except (TypeError, ValueError):
        return _equal_contents(given, wanted)
    largest = max(abs(one), abs(other))
    if largest == 0 or one == other:
        return 1.0
    share = 1.0 - abs(one - other) / largest
    # Infinity and NaN compare with nothing.
    return max(0.0, share) if np.isfinite(share) else 0.0


def _texts(given: list[Mapping[str, Any]], wanted: list[Mapping[str, Any]]) -> float:
    one, other = _text(given), _text(wanted)
    if one == other:
        return 1.0
    if max(len(one), len(other)) <= _LONGEST_BY_LETTERS:
        return _similarity(one, other)
    return _similarity(one.split()[:_MOST_WORDS], other.split()[:_MOST_WORDS])


def _text(regions: list[Mapping[str, Any]]) -> str:
    parts: list[str] = []
    for region in regions:
        content = content_of(region)
        parts += map(str, content) if isinstance(content, (list, tuple)) else [str(content)]
    return ' '.join(' '.join(parts).split())


def _similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """One less the edit distance as a share of the longer one."""
    numbers: dict[str, int] = {}
    first, second = (np.array([numbers.setdefault(item, len(numbers)) for item in items]) for items in (one, other))
    steps = np.arange(len(second) + 1)
    row = steps
    for item in first:
        changed = np.minimum(row[1:] + 1, row[:-1] + (second != item))
        # Insertions go along the row: each place costs one more than the best place before it.
        row = np.minimum.accumulate(np.concatenate(([row[0] + 1], changed)) - steps) + steps
    return 1.0 - float(row[-1]) / max(len(first), len(second), 1)


def _same_regions(given: list[Mapping[str, Any]], wanted: list[Mapping[str, Any]]) -> float:
    """F1 of the regions: pairs are made from the largest overlap on, each region once."""
    ours, theirs = [_labeled(item) for item in given], [_labeled(item) for item in wanted]
    pairs = [
        (share, i, j)
        for i, (label, shape) in enumerate(ours)
        for j, (other, place) in enumerate(theirs)
        if label == other and (share := overlap(shape, place)) >= SAME_REGION
    ]
    pairs.sort(key=lambda pair: -pair[0])
    seen_ours: set[int] = set()
    seen_theirs: set[int] = set()
    for _, i, j in pairs:
        if i not in seen_ours and j not in seen_theirs:
            seen_ours.add(i)
            seen_theirs.add(j)
    return 2 * len(seen_ours) / (len(ours) + len(theirs))


def _labeled(region: Mapping[str, Any]) -> tuple[str, Shape | None]:
    """What has to be equal, and the place that has to overlap."""
    content = content_of(region)
    if content == region['value']:
        # A shape without labels, or a per-region tag that says nothing besides its place.
        content = None
    if isinstance(content, (list, tuple)):
        content = sorted(map(_key, content))
    return _key([content, region.get('item_index')]), shape_of(region)


_COMPARED: Mapping[str, Callable[[list[Mapping[str, Any]], list[Mapping[str, Any]]], float]] = {
    'rating': _numbers,
    'number': _numbers,
    'textarea': _texts,
}
