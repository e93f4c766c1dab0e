"""Labeled texts as spaCy learns from them: spans on whole tokens that do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml_plugins.adapters.spans import within
from ml_plugins.backend import Dataset, Run
from ml_plugins.contrib.texts import LONGEST, text_or_failure
from ml_plugins.label_config import Control
from ml_plugins.types import TaskFailure

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

Place = tuple[int, int, str]


@dataclass
class Labeled:
    """Labeled texts of one control.

    Attributes:
        train: Texts to learn from, each with its spans: start, end and label.
        held_out: The same, to measure the model.
        left_out: How many spans cannot be learned, by reason.
    """

    train: list[tuple[str, list[Place]]] = field(default_factory=list)
    held_out: list[tuple[str, list[Place]]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def collect(dataset: Dataset, control: Control, run: Run) -> Labeled:
    """Every labeled text that can be read; the others are reported to the run."""
    found = Labeled()
    for example in dataset:
        if not example.annotations:
            continue
        text = text_or_failure(example.task, control.value)
        if isinstance(text, TaskFailure):
            run.skip(example.task.id, text.reason)
            continue
        text = text[:LONGEST]
        places = [
            place
            for region in example.annotation.result
            if region.get('from_name') == control.name
            for place in _places(text, region.get('value', {}), control, found.left_out)
        ]
        (found.held_out if example.held_out else found.train).append((text, places))
    return found


def _places(text: str, value: Mapping[str, Any], control: Control, left_out: dict[str, int]) -> list[Place]:
    start, end, labels = value.get('start'), value.get('end'), value.get('labels') or ()
    ends = within(text, start, end) if isinstance(start, int) and isinstance(end, int) else None
    if ends is None:
        return _leave_out(left_out, 'its offsets are not in the text')
    start, end = _without_space(text, *ends)
    if start >= end:
        return _leave_out(left_out, 'there is nothing but space in it')
    known = [label for label in labels if label in control.labels]
    return [(start, end, known[0])] if known else _leave_out(left_out, 'it has no label of the label config')


def _leave_out(left_out: dict[str, int], reason: str) -> list[Place]:
    left_out[reason] = left_out.get(reason, 0) + 1
    return []


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def as_document(
    nlp: Language, text: str, places: Sequence[Place], names: Mapping[str, str], left_out: dict[str, int]
) -> Doc:
    """A tokenized text with its entities.

    A token is an entity or is not, and of one kind: a span that ends within a token is widened to all of it, and of
    spans that overlap the longest is learned.
    """
    from spacy.util import filter_spans

    document = nlp.make_doc(text)
    spans = [document.char_span(start, end, names[label], alignment_mode='expand') for start, end, label in places]
    spans = [span for span in spans if span is not None]
    kept = filter_spans(spans)
    if len(kept) < len(spans):
        _leave_out(left_out, 'it overlaps a longer one')
        left_out['it overlaps a longer one'] += len(spans) - len(kept) - 1
    document.ents = kept
    return document
