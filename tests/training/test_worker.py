"""The real worker with a child process for each run, killed and stopped."""

import os
import signal
import threading
import time

import pytest

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.training import forking, recorder, runs, worker

pytestmark = pytest.mark.django_db(transaction=True)


def signal_when_started(folder, number=signal.SIGTERM):
    """Sends this process a signal once a run has begun."""

    def wait():
        for _ in range(600):
            if (folder / 'started').exists():
                os.kill(os.getpid(), number)
                return
            time.sleep(0.05)

    threading.Thread(target=wait, daemon=True).start()


def test_a_run_in_a_child_process(ask, queue, label):
    label(3)
    run = ask()
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.error) == ('finished', '')
    assert run.worker.rpartition('/')[2] != str(os.getpid())


def test_a_killed_child_is_tried_again(ask, queue, label):
    label(3)
    run = ask('killed_once')
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ('finished', 2)


def test_a_child_that_is_always_killed_fails_with_the_reason(ask, queue, label, settings, folders):
    settings.ML_RUN_ATTEMPTS = 1
    label(3)
    run = ask('killed')
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ('failed', 2)
    assert run.error.startswith('The training process was killed (signal 9)')
    assert not ModelVersion.objects.exists()
    worker.run_worker(burst=True)
    assert list((folders / 'work').iterdir()) == []


def test_sigterm_hands_the_run_back_within_seconds(ask, queue, label, tmp_path):
    label(3)
    run = ask('waits')
    signal_when_started(tmp_path)
    start = time.monotonic()
    worker.run_worker()
    assert time.monotonic() - start < 15
    run.refresh_from_db()
    assert (run.state, run.attempts, run.worker) == ('queued', 0, '')
    assert len(queue.get_job_ids()) == 1


def test_sigterm_ends_a_backend_that_ignores_it(ask, queue, label, tmp_path, monkeypatch):
    monkeypatch.setattr(forking, 'STOP_GRACE', 1.0)
    label(3)
    run = ask('ignores')
    signal_when_started(tmp_path)
    worker.run_worker()
    run.refresh_from_db()
    assert (run.state, run.attempts) == ('queued', 0)


def test_cancel_ends_a_backend_that_ignores_it(ask, queue, label, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, 'LOOK_EVERY', 0.1)
    monkeypatch.setattr(recorder, 'CANCEL_GRACE', 0.5)
    label(3)
    run = ask('ignores')
    cancelled = threading.Thread(target=_cancel_when_started, args=(run, tmp_path), daemon=True)
    cancelled.start()
    worker.run_worker(burst=True)
    cancelled.join()
    run.refresh_from_db()
    assert run.state == 'cancelled'


def _cancel_when_started(run, folder):
    from django.db import connection

    for _ in range(600):
        if (folder / 'started').exists():
            break
        time.sleep(0.05)
    try:
        runs.cancel(run)
    finally:
        connection.close()


def test_without_redis_a_burst_ends_and_a_worker_waits(monkeypatch, tmp_path, db):
    from django_rq.settings import QUEUES

    monkeypatch.setitem(QUEUES, 'ml_train', {'UNIX_SOCKET_PATH': str(tmp_path / 'none'), 'DB': 0})
    worker.run_worker(burst=True)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(worker.time, 'sleep', sleep)
    with pytest.raises(KeyboardInterrupt):
        worker.run_worker()
    assert waits == [worker.RECONNECT_SECONDS] * 3


def test_a_second_signal_ends_at_once_and_hands_the_run_back(ask, queue, label, tmp_path, monkeypatch):
    monkeypatch.setattr(forking, 'STOP_GRACE', 60.0)
    label(3)
    run = ask('ignores')
    signal_when_started(tmp_path)

    def again():
        while not (tmp_path / 'started').exists():
            time.sleep(0.05)
        time.sleep(1.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=again, daemon=True).start()
    with pytest.raises(SystemExit):
        worker.run_worker()
    run.refresh_from_db()
    assert (run.state, run.attempts) == ('queued', 0)
