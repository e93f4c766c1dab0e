"""Does a new version go into service? The rules, without a database."""

from __future__ import annotations

from dataclasses import dataclass

from label_studio.ml_host.quality.examination import Score
from label_studio.ml_host.quality.statistics import CHANCE, Paired
from label_studio.ml_host.quality.words import means_in_words, p_in_words

# What is said of versions that nobody but a person puts into service.
REPEATED = 'repeated'
BY_HAND = {
    'manual': 'Versions go into service by hand here',
    REPEATED: 'A version that is trained again goes into service by hand',
}


@dataclass(frozen=True)
class Rival:
    """The version in service, which a new one is held against.

    Attributes:
        number: Its number.
        paired: Both on the same tasks; None when there is none that both were measured on.
        trouble: Why the version in service cannot be measured; empty when it can.
    """

    number: int
    paired: Paired | None = None
    trouble: str = ''


def decide(rule: str, score: Score | None, rival: Rival | None) -> tuple[bool, str]:
    """Whether a version that works goes into service, and why, in a sentence.

    Args:
        rule: One of `learning.settings.RULES`, or `REPEATED`.
        score: On all held-out tasks; None when nothing is held out.
        rival: None for the first version.
    """
    if rule in BY_HAND:
        return False, f'{BY_HAND[rule]}{_measured(score, rival)}.'
    if rival is None:
        return True, f'It is the first version{_measured(score, rival)}.'
    if rival.trouble:
        return True, f'Version {rival.number} cannot be measured any more: {rival.trouble}.'
    if rival.paired is None:
        return _unpaired(rule, score, rival)
    paired = rival.paired
    is_worse, is_better = paired.p_worse < CHANCE, paired.p_better < CHANCE
    if is_worse:
        return False, f'It is worse: {_held_against(rival, paired.p_worse)}.'
    if is_better:
        return True, f'It is better: {_held_against(rival, paired.p_better)}.'
    return rule != 'better', f'There is no clear difference: {_held_against(rival, paired.p_value)}.'


def _unpaired(rule: str, score: Score | None, rival: Rival) -> tuple[bool, str]:
    nothing = 'Nothing is held out yet' if score is None else 'No held-out task is new to both versions'
    if rule == 'better':
        return False, f'{nothing}, so nobody knows whether it is better than version {rival.number}.'
    return True, f'{nothing}, so it could not be held against version {rival.number}{_measured(score, None)}.'


def _measured(score: Score | None, rival: Rival | None) -> str:
    if rival is not None and rival.paired is not None:
        return f': {_held_against(rival, rival.paired.p_value)}'
    if score is None:
        return ''
    return f': {score.value:.2f} on {score.tasks} held-out task{"" if score.tasks == 1 else "s"}'


def _held_against(rival: Rival, p_value: float) -> str:
    paired = rival.paired
    tasks = f'the same {paired.tasks} held-out tasks' if paired.tasks > 1 else 'the one held-out task'
    new, old = means_in_words(paired.new, paired.old)
    return f'{new} against {old} of version {rival.number} on {tasks}, {p_in_words(p_value)}'
