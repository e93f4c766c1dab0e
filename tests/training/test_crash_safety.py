"""What is killed, full or away in the middle leaves nothing half done, and work goes on."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from django.db import connection
from django.db.utils import OperationalError
from redis.client import PubSubWorkerThread

from label_studio.ml_host.launcher import redis
from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training import forking, reading, recovery, runs, worker
from label_studio.ml_host.versions import shelving
from tests.training.cases import run_case
from tests.training.conftest import CountingBackend

pytestmark = pytest.mark.django_db(transaction=True)


class Gated(CountingBackend):
    """Trains when it is let, or leaves more than a small disk holds."""

    def fit_gated(self, dataset, run):
        self._tell(run)
        while not (Path(self.param_values['folder']) / 'go').exists():
            run.progress(1, 2)
            time.sleep(0.02)
        return self.fit_well(dataset, run)

    def fit_large(self, dataset, run):
        (run.directory / 'large').write_bytes(b'x' * 3 * 2**20)
        return {}


@pytest.fixture
def gated(inline_plugins, counting):
    inline_plugins('counting', Gated)
    inline_plugins('another', Gated)
    ProjectBackend.objects.create(project=counting.project, backend='another', enabled=True)
    return counting


def test_a_queue_that_comes_back_empty_is_made_anew(gated, ask, label, project, tmp_path, monkeypatch):
    from django_rq.settings import QUEUES

    monkeypatch.setattr(worker, 'RECONNECT_SECONDS', 0.1)
    monkeypatch.setattr(worker, 'MAINTENANCE_SECONDS', 1)
    monkeypatch.setattr(forking.TrainingWorker, 'max_connection_wait_time', 0.2)
    monkeypatch.setattr(recovery, '_SETTLING', recovery._SETTLING * 0)
    folder = Path(tempfile.mkdtemp(prefix='ls-redis-', dir='/tmp'))
    servers = [redis.start(folder)]
    for name in ('ml_train', 'ml_predict', 'ml_analysis'):
        monkeypatch.setitem(QUEUES, name, {'UNIX_SOCKET_PATH': str(servers[0].socket), 'DB': 0, 'DEFAULT_TIMEOUT': 60})
    label(3)
    running, waiting = ask('gated'), runs.request_training(project, 'another')
    states = []

    def disturb():
        try:
            wait_for((tmp_path / 'started').exists)
            servers[0].stop()
            shutil.rmtree(folder)
            folder.mkdir()
            servers.append(redis.start(folder))
            (tmp_path / 'go').touch()
            wait_for(lambda: TrainingRun.objects.filter(state='finished').count() == 2)
            states.extend(TrainingRun.objects.order_by('id').values_list('state', 'attempts'))
        finally:
            connection.close()
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    try:
        worker.run_worker()
        thread.join()
    finally:
        servers[-1].stop()
        shutil.rmtree(folder)
    assert states == [('finished', 1), ('finished', 1)]
    # No thread of a worker that lost its queue goes on looking for it.
    wait_for(lambda: not [each for each in threading.enumerate() if isinstance(each, PubSubWorkerThread)])
    assert {running.pk, waiting.pk} == set(ModelVersion.objects.values_list('training_run', flat=True))


def wait_for(check, seconds=60):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_publication_that_is_killed_is_done_again(ask, queue, label, monkeypatch, tmp_path, folders, counting):
    def killed_once(path):
        if path.parent.name == 'counting' and not (tmp_path / 'killed').exists():
            (tmp_path / 'killed').touch()
            os.kill(os.getpid(), signal.SIGKILL)

    # The files lie where the version belongs; the row is not there yet.
    monkeypatch.setattr(shelving, 'sync', killed_once)
    label(3)
    run = ask()
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.error, run.attempts) == ('finished', '', 2)
    counting.refresh_from_db()
    assert counting.in_service == run.version == ModelVersion.objects.get()
    # What the killed one left is not taken for a version, and not written over.
    home = folders / 'version' / 'counting' / str(run.project_id)
    assert sorted(path.name for path in home.iterdir()) == ['v1', 'v2']
    assert run.version.directory.endswith('v2')


def test_a_disk_that_is_full_at_the_publication(gated, ask, queue, label, work, folders):
    label(3)
    first = ask()
    work()
    first.refresh_from_db()
    home = folders / 'version' / 'counting' / str(first.project_id)
    small = folders / 'version'
    kept = folders / 'kept'
    shutil.copytree(small, kept)
    done = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(small)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f'a small disk cannot be mounted here: {done.stderr.strip()}')
    try:
        shutil.copytree(kept, small, dirs_exist_ok=True)
        run = ask('large')
        work()
        assert [path.name for path in home.iterdir()] == ['v1']
    finally:
        subprocess.run(['umount', str(small)], check=True)
    run.refresh_from_db()
    assert run.state == 'failed'
    assert run.error.startswith('The disk is full')
    assert list((folders / 'work').glob('*')) == []
    gated.refresh_from_db()
    assert gated.in_service == first.version
    again = ask('large')
    work()
    again.refresh_from_db()
    assert (again.state, again.error) == ('finished', '')


def test_a_database_that_is_away_for_half_a_minute_is_waited_for(monkeypatch):
    slept = []
    monkeypatch.setattr(reading.time, 'sleep', slept.append)

    def read():
        if sum(slept) < 30:
            # A lost connection is not usable any more; Django's own is closed by then.
            connection.close()
            raise OperationalError('server closed the connection unexpectedly')
        return 'there again'

    assert reading.patiently(read) == 'there again'
    assert sum(slept) < 60


def test_a_server_that_is_killed_while_it_swaps_serves_the_new_version_when_it_is_back(data_dir, redis_socket):
    found = run_case('server_killed_in_a_swap', data_dir, redis_socket)
    assert found == {'before': 'slow-v1', 'after': 'slow-v2', 'answer': 'dog'}
