"""When people agree with a version clearly less than with the one before."""

from __future__ import annotations

from dataclasses import dataclass

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.quality.statistics import drop_p_value
from label_studio.ml_host.quality.words import p_in_words

# Fewer annotations say nothing.
FEWEST = 20
# The test is repeated while a version serves, so that its p-value has to be well below the usual 5 %; and what is
# certain but tiny is nobody's concern.
_CERTAIN = 0.01
_SMALLEST_DROP = 0.05


@dataclass(frozen=True)
class Drop:
    """A clear drop.

    Attributes:
        sentence: What dropped, with the numbers.
    """

    now: float
    before: float
    p_value: float
    sentence: str


def is_time_to_test(count_before: int, count_now: int) -> bool:
    """Whether the count passed 20, 40, 80, …: who tests at each annotation finds a drop sooner or later by chance."""
    mark = FEWEST
    while mark <= count_before:
        mark *= 2
    return count_now >= mark


def drop_of(version: ModelVersion, before: ModelVersion) -> Drop | None:
    """The drop from the version before, or None when there is no clear one.

    It is held against what people submitted with the version before, or, where those are too few, against its score on
    the held-out labels.
    """
    if version.live_count < FEWEST:
        return None
    now = version.live_sum / version.live_count
    if before.live_count >= FEWEST:
        known, count, what = before.live_sum / before.live_count, before.live_count, 'annotations'
    elif before.score is not None and before.scored_on:
        known, count, what = before.score, before.scored_on, 'held-out tasks'
    else:
        return None
    p_value = drop_p_value(now, version.live_count, known, count)
    if known - now < _SMALLEST_DROP or p_value >= _CERTAIN:
        return None
    sentence = (
        f'What people submit agrees with the predictions of version {version.number} to {now:.2f} '
        f'({version.live_count} annotations), and with version {before.number} it was {known:.2f} ({count} {what}), '
        f'{p_in_words(p_value)}.'
    )
    return Drop(now, known, p_value, sentence)
