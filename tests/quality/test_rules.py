"""The rules by which a version goes into service, and their sentences."""

import pytest

from label_studio.ml_host.quality.examination import Score
from label_studio.ml_host.quality.rules import Rival, decide
from label_studio.ml_host.quality.statistics import Paired

SCORE = Score(0.84, 0.78, 0.9, 120)
WORSE = Paired(120, 0.84, 0.91, 0.002, 0.999)
ALIKE = Paired(120, 0.9, 0.91, 0.41, 0.62)
BETTER = Paired(120, 0.97, 0.91, 0.9999, 0.0001)
ON_120 = 'of version 3 on the same 120 held-out tasks'


@pytest.mark.parametrize(
    ('rule', 'paired', 'serve', 'reason'),
    [
        ('automatic', WORSE, False, f'It is worse: 0.84 against 0.91 {ON_120}, p = 0.002.'),
        ('automatic', ALIKE, True, f'There is no clear difference: 0.90 against 0.91 {ON_120}, p = 0.82.'),
        ('automatic', BETTER, True, f'It is better: 0.97 against 0.91 {ON_120}, p < 0.001.'),
        ('better', WORSE, False, f'It is worse: 0.84 against 0.91 {ON_120}, p = 0.002.'),
        ('better', ALIKE, False, f'There is no clear difference: 0.90 against 0.91 {ON_120}, p = 0.82.'),
        ('better', BETTER, True, f'It is better: 0.97 against 0.91 {ON_120}, p < 0.001.'),
        (
            'repeated',
            BETTER,
            False,
            f'A version that is trained again goes into service by hand: 0.97 against 0.91 {ON_120}, p < 0.001.',
        ),
        ('manual', BETTER, False, f'Versions go into service by hand here: 0.97 against 0.91 {ON_120}, p < 0.001.'),
    ],
)
def test_against_a_rival(rule, paired, serve, reason):
    assert decide(rule, SCORE, Rival(3, paired)) == (serve, reason)


@pytest.mark.parametrize(
    ('rule', 'score', 'serve', 'reason'),
    [
        ('automatic', SCORE, True, 'It is the first version: 0.84 on 120 held-out tasks.'),
        ('better', Score(1.0, 0.2, 1.0, 1), True, 'It is the first version: 1.00 on 1 held-out task.'),
        ('better', None, True, 'It is the first version.'),
        ('manual', SCORE, False, 'Versions go into service by hand here: 0.84 on 120 held-out tasks.'),
        ('manual', None, False, 'Versions go into service by hand here.'),
    ],
)
def test_first_version(rule, score, serve, reason):
    assert decide(rule, score, None) == (serve, reason)


@pytest.mark.parametrize(
    ('rule', 'score', 'serve', 'reason'),
    [
        ('automatic', None, True, 'Nothing is held out yet, so it could not be held against version 3.'),
        ('better', None, False, 'Nothing is held out yet, so nobody knows whether it is better than version 3.'),
        (
            'automatic',
            SCORE,
            True,
            'No held-out task is new to both versions, so it could not be held against version 3: '
            '0.84 on 120 held-out tasks.',
        ),
        (
            'better',
            SCORE,
            False,
            'No held-out task is new to both versions, so nobody knows whether it is better than version 3.',
        ),
    ],
)
def test_nothing_to_compare_on(rule, score, serve, reason):
    assert decide(rule, score, Rival(3)) == (serve, reason)


@pytest.mark.parametrize(('rule', 'serve'), [('automatic', True), ('better', True), ('manual', False)])
def test_rival_that_cannot_predict_any_more(rule, serve):
    assert decide(rule, SCORE, Rival(3, None, 'it cannot be loaded: OSError: gone'))[0] is serve


def test_one_task_in_words():
    assert decide('automatic', SCORE, Rival(3, Paired(1, 1.0, 0.0, 1.0, 0.5)))[1] == (
        'There is no clear difference: 1.00 against 0.00 of version 3 on the one held-out task, p = 1.'
    )


def test_means_that_round_alike_get_more_digits():
    close = Paired(1000, 0.801, 0.8094, 0.008, 0.99)
    reason = decide('automatic', SCORE, Rival(3, close))[1]
    assert reason.startswith('It is worse: 0.80 against 0.81 ')
    closer = Paired(1000, 0.8012, 0.8043, 0.008, 0.99)
    assert decide('automatic', SCORE, Rival(3, closer))[1].startswith('It is worse: 0.801 against 0.804 ')
    same = Paired(1000, 0.8, 0.8, 0.5, 0.5)
    assert '0.80 against 0.80 ' in decide('automatic', SCORE, Rival(3, same))[1]
