"""Answers and figures in a few words, for tables and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from label_studio.ml_host.quality.answers import Result
from ml_plugins.agreement import content_of
from ml_plugins.geometry import shape_of

_LONGEST = 200


def in_words(result: Result) -> str:
    """What a result says: labels, with their number where they are regions, texts and numbers; empty for nothing."""
    said: list[str] = []
    regions: Counter[str] = Counter()
    for item in result:
        if not isinstance(item.get('value'), Mapping):
            continue
        text = _text(content_of(item))
        if shape_of(item) is not None:
            regions[text or str(item.get('type', 'region'))] += 1
        elif text:
            said.append(text)
    said += [f'{count} {label}' if count > 1 else label for label, count in regions.items()]
    text = ', '.join(said)
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'


def means_in_words(one: float, other: float) -> tuple[str, str]:
    """Two means with as many digits as it takes to tell them apart, two at least."""
    for digits in (2, 3, 4):
        texts = f'{one:.{digits}f}', f'{other:.{digits}f}'
        if texts[0] != texts[1]:
            return texts
    return f'{one:.2f}', f'{other:.2f}'


def p_in_words(p_value: float) -> str:
    """A p-value as sentences have it."""
    return 'p < 0.001' if p_value < 0.001 else f'p = {p_value:.2g}'


def _text(content: Any) -> str:
    if content is None or isinstance(content, Mapping):
        return ''
    return ', '.join(map(_path, content)) if isinstance(content, (list, tuple)) else str(content)


def _path(item: Any) -> str:
    """A choice, or a path of a taxonomy."""
    return ' / '.join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)
