"""What a language model wrote, as regions of the label config; what does not fit is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_plugins.adapters.labels import LabelMatcher
from ml_plugins.adapters.spans import within
from ml_plugins.contrib.llm.prompts import stars
from ml_plugins.label_config import Control
from ml_plugins.types import Region


def regions_of(
    answer: Mapping[str, Any],
    controls: Sequence[Control],
    matchers: Mapping[str, LabelMatcher],
    texts: Mapping[str, str],
) -> list[Region]:
    """Regions in the order of the controls.

    Args:
        answer: The JSON object that the model wrote.
        matchers: By control name; they report each unknown label once.
        texts: By field.
    """
    found: list[Region] = []
    for control in controls:
        said = answer.get(control.name)
        if said is None:
            continue
        if control.type == 'choices':
            found += _choices(said, control, matchers[control.name])
        elif control.type == 'labels':
            found += _spans(said, control, matchers[control.name], texts[control.value])
        elif control.type == 'rating':
            if isinstance(said, (int, float)) and not isinstance(said, bool) and 1 <= round(said) <= stars(control):
                found.append(control.number(said))
        elif isinstance(said, str) and said.strip():
            found.append(control.text(said.strip()))
    return found


def _choices(said: Any, control: Control, matcher: LabelMatcher) -> list[Region]:
    names = [item for item in (said if isinstance(said, list) else [said]) if isinstance(item, str)]
    labels = list(dict.fromkeys(filter(None, map(matcher.match_or_report, names))))
    if not control.is_multiple:
        labels = labels[:1]
    return [control.choices(*labels)] if labels else []


def _spans(said: Any, control: Control, matcher: LabelMatcher, text: str) -> list[Region]:
    found = []
    searched_to: dict[str, int] = {}
    for item in said if isinstance(said, list) else ():
        piece, name = (item.get('text'), item.get('label')) if isinstance(item, dict) else (None, None)
        if not (isinstance(piece, str) and piece.strip() and isinstance(name, str)):
            continue
        label = matcher.match_or_report(name)
        # The same words a second time are their second place in the text.
        place = _find(text, piece.strip(), searched_to.get(piece, 0))
        if label is None or place is None:
            continue
        searched_to[piece] = place[1]
        start, end = within(text, *place) or place
        found.append(control.span(start, end, label, text[start:end]))
    return found


def _find(text: str, piece: str, start: int) -> tuple[int, int] | None:
    """Where the model's copy stands in the text; capitals and spaces may differ."""
    place = text.find(piece, start)
    if place >= 0:
        return place, place + len(piece)
    loose = r'\s+'.join(map(re.escape, piece.split()))
    found = re.compile(loose, re.IGNORECASE).search(text, start)
    return found.span() if found else None
