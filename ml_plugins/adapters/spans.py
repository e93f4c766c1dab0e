"""Spans of a text: within it, never half a character.

Label Studio counts characters of a text as Python does: an emoji is one, and so are a line feed and a carriage return.
What looks like one character may be several: a letter with a combining accent, an emoji with its skin tone, a flag.
"""

from __future__ import annotations

import unicodedata

_JOINER = '\u200d'
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)


def within(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The part of a span that lies in the text, widened to whole characters; None when there is none."""
    start, end = max(0, start), min(len(text), end)
    if start >= end:
        return None
    while start > 0 and _continues(text, start):
        start -= 1
    while end < len(text) and _continues(text, end):
        end += 1
    return start, end


def _continues(text: str, place: int) -> bool:
    """Whether what stands at a place belongs to the character before it."""
    here, before = text[place], text[place - 1]
    if here == _JOINER or before == _JOINER or unicodedata.category(here) in ('Mn', 'Mc', 'Me'):
        return True
    if ord(here) in _SKIN_TONES:
        return True
    if ord(here) in _FLAG_LETTERS and ord(before) in _FLAG_LETTERS:
        # Two letters are one flag: this one is the second if an odd number of them stands before it.
        count = 0
        while count < place and ord(text[place - 1 - count]) in _FLAG_LETTERS:
            count += 1
        return count % 2 == 1
    return False
