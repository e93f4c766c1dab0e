"""What a web process runs beside answering is started once in each process, and ends with it."""

import threading

import pytest

from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.prelabeling import conductor, lease
from label_studio.ml_host.serving import background

pytestmark = pytest.mark.django_db(transaction=True)


def names():
    return sorted(thread.name for thread in threading.enumerate())


@pytest.fixture
def no_listener(monkeypatch):
    """The listener ends with its process only; here it is counted."""
    started = []

    class Counted:
        def start(self):
            started.append(1)

    monkeypatch.setattr(background, '_listeners', PerProcess(Counted))
    return started


def test_everything_is_started_once_and_stopped(no_listener, monkeypatch):
    monkeypatch.setattr(conductor, 'TICK_SECONDS', 0.1)
    for _ in range(2):
        background.start()
    try:
        assert names().count('label-watcher') == 1
        assert names().count('prelabel-conductor') == 1
        assert no_listener == [1]
    finally:
        background.stop()
        lease.open_again()
    assert 'label-watcher' not in names()
    assert 'prelabel-conductor' not in names()
