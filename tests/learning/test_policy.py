"""When a training begins by itself, decided on counted labels."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from label_studio.ml_host.learning.counts import Standing
from label_studio.ml_host.learning.policy import due, sentence
from label_studio.ml_host.learning.settings import LearningSettings

BERLIN = ZoneInfo('Europe/Berlin')
NOON = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)


def asked(standing, now=NOON, since=None, **values):
    return due(LearningSettings(**values), standing, now, BERLIN, since)


def changed(new=0, changed=0, deleted=0, before=100, **fields):
    return Standing(before + new - deleted, before, new, changed, deleted, **fields)


@pytest.mark.parametrize(
    ('standing', 'text'),
    [
        (changed(new=10), '10 new labels'),
        (changed(new=1), '1 new label'),
        (changed(deleted=3), '3 deleted labels'),
        (changed(new=8, changed=1, deleted=1), '8 new, 1 changed and 1 deleted labels'),
        (changed(new=8, deleted=2), '8 new and 2 deleted labels'),
    ],
)
def test_a_number_of_labels(standing, text):
    assert sentence(standing) == text
    assert asked(standing, after_labels=standing.changes) == text
    assert asked(standing, after_labels=standing.changes + 1) is None


def test_nothing_is_due_without_labels_or_without_a_change():
    assert asked(Standing(), after_labels=1, growth=0.1, at='11:00') is None
    assert asked(changed(deleted=100), after_labels=1) is None
    assert asked(changed(), after_labels=1, growth=0.1, at='11:00') is None
    assert asked(changed(new=50), after_labels=0) is None


def test_a_run_that_waits_will_see_everything():
    assert asked(changed(new=50, waits=True), after_labels=1) is None


def test_trainings_keep_their_distance():
    recent = changed(new=50, began_at=NOON - timedelta(minutes=4))
    assert asked(recent, every_minutes=5) is None
    assert asked(recent, every_minutes=4) == '50 new labels'
    assert asked(recent, every_minutes=4.5, now=NOON + timedelta(seconds=30)) == '50 new labels'


def test_labels_that_grew():
    assert asked(changed(new=19), after_labels=0, growth=0.2) is None
    assert asked(changed(new=23), after_labels=0, growth=0.2) == 'labels grew by 23 %'
    assert asked(changed(new=30, deleted=20), after_labels=0, growth=0.2) is None
    assert asked(changed(new=2, before=0), after_labels=0, growth=0.2) == '2 new labels'


@pytest.mark.parametrize(
    ('now', 'trained', 'is_due'),
    [
        (datetime(2026, 3, 28, 2, 29, tzinfo=BERLIN), datetime(2026, 3, 27, 12, 0, tzinfo=BERLIN), False),
        (datetime(2026, 3, 28, 2, 31, tzinfo=BERLIN), datetime(2026, 3, 27, 12, 0, tzinfo=BERLIN), True),
        (datetime(2026, 3, 28, 2, 31, tzinfo=BERLIN), datetime(2026, 3, 28, 2, 30, 1, tzinfo=BERLIN), False),
        # A server that was off at that time makes up for it.
        (datetime(2026, 3, 28, 1, 0, tzinfo=BERLIN), datetime(2026, 3, 26, 12, 0, tzinfo=BERLIN), True),
        # The clock goes forward at 2 o'clock: there is no half past two on this day, and it is made up for at three.
        (datetime(2026, 3, 29, 3, 31, tzinfo=BERLIN), datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN), True),
    ],
)
def test_a_time_of_day(now, trained, is_due):
    standing = changed(new=1, since=trained)
    found = asked(standing, now=now.astimezone(ZoneInfo('UTC')), after_labels=0, at='02:30')
    assert found == ('daily at 02:30' if is_due else None)


def test_a_time_of_day_before_learning_was_switched_on_does_not_count():
    standing = changed(new=1, before=0)
    assert asked(standing, after_labels=0, at='11:00', since=NOON - timedelta(minutes=5)) is None
    assert asked(standing, after_labels=0, at='11:00', since=NOON - timedelta(minutes=65)) == 'daily at 11:00'
