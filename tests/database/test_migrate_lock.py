"""One server at a time prepares a shared database."""

import time

import pytest
from django.db import connection

from label_studio.ml_host.launcher import migrate, migrate_lock
from tests.database.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_at_a_time(monkeypatch):
    if connection.vendor != 'postgresql':
        pytest.skip('SQLite belongs to one machine and takes no lock')
    monkeypatch.setattr(migrate_lock, 'POLL_SECONDS', 0.01)
    inside, most, rounds = 0, 0, 0

    def work():
        nonlocal inside, most, rounds
        with migrate_lock.alone():
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1
            rounds += 1

    assert at_once(work) == []
    assert (most, rounds) == (1, 6)


def test_what_another_server_migrated_meanwhile_is_not_migrated_again(monkeypatch):
    """The plan is made while the lock is held."""
    plans = iter([3, 0])
    monkeypatch.setattr(migrate, 'pending', lambda *args: next(plans, 0))
    monkeypatch.setattr(migrate, '_apply', lambda progress: pytest.fail('migrated again'))
    migrate.migrate()


def test_the_lock_is_free_after_an_error():
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), migrate_lock.alone():
            1 / 0  # noqa: B018
