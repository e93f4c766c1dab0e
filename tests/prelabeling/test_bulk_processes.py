"""Bulk runs in real processes: killed servers, several servers, and workers of the queue."""

import os
import random
import time

import pytest

from label_studio.ml_host.cli.worker import _default_queues
from label_studio.ml_host.serving.background import serving
from tests.e2e.server import free_port
from tests.prelabeling.processes import Processes


@pytest.fixture
def start(data_dir):
    made = []

    def with_settings(**environment):
        made.append(Processes(data_dir, **environment))
        return made[-1]

    yield with_settings
    for processes in made:
        processes.close()


def assert_complete(found, tasks):
    assert (found['state'], found['error']) == ('finished', '')
    assert (found['predicted'], found['most'], found['totals']) == (tasks, 1, [1])
    assert (found['done'], found['skipped'], found['failed']) == (tasks, 0, 0)


def test_a_server_killed_at_ten_random_moments_loses_and_doubles_nothing(start):
    tasks = 3000
    processes = start(MS_A_BATCH='20')
    processes.start_run(processes.prepare(tasks))
    chance = random.Random(7)
    done = [0]
    for _ in range(10):
        server = processes.serve(free_port())
        # Some come before the model is loaded, most while predictions are made and written.
        further = chance.choice((0, 1, 1, 1)) * chance.randint(1, 200)
        processes.until(lambda found, goal=done[-1] + further: found['done'] >= goal)
        time.sleep(chance.uniform(0, 0.3))
        processes.kill(server)
        found = processes.report()
        assert found['most'] <= 1
        assert found['done'] == found['predicted']
        done.append(found['done'])
    assert len(set(done)) > 5, done
    assert done[-1] < tasks
    processes.serve(free_port())
    assert_complete(processes.until(lambda found: found['state'] == 'finished'), tasks)


def test_of_several_servers_one_works_on_a_run_and_another_takes_over(start):
    processes = start(MS_A_BATCH='20')
    processes.start_run(processes.prepare(3000))
    servers = [processes.serve(free_port()) for _ in range(3)]
    owners = set()
    processes.until(lambda found: owners.update(found['owners']) or found['done'] > 300)
    owners.discard('')
    assert len(owners) == 1
    first = int(owners.pop().partition('#')[0].rpartition('/')[2])
    assert first in servers
    processes.kill(first)
    found = processes.until(lambda found: owners.update(found['owners']) or found['state'] == 'finished')
    assert_complete(found, 3000)
    assert {int(owner.partition('#')[0].rpartition('/')[2]) for owner in owners - {''}} & (set(servers) - {first})


def test_a_server_that_is_stopped_gives_its_run_back_at_once(start):
    processes = start(MS_A_BATCH='20')
    processes.start_run(processes.prepare(3000))
    server = processes.serve(free_port())
    processes.until(lambda found: found['done'] > 0)
    processes.stop(server)
    found = processes.report()
    assert (found['state'], found['owners']) == ('running', [''])
    processes.serve(free_port())
    assert_complete(processes.until(lambda found: found['state'] == 'finished'), 3000)


def test_any_wsgi_server_looks_after_runs(start):
    processes = start(MS_A_BATCH='1')
    processes.start_run(processes.prepare(200))
    processes.serve(free_port(), begins=False)
    assert_complete(processes.until(lambda found: found['state'] == 'finished'), 200)


def test_a_forked_wsgi_process_looks_after_runs_from_its_first_request_on(monkeypatch):
    started = []
    monkeypatch.setattr('label_studio.ml_host.serving.background.start', lambda: started.append(os.getpid()))
    monkeypatch.setattr('label_studio.ml_host.serving.background.START_SECONDS', 0.5)
    application = serving(lambda environ, start_response: [b'fine'])
    child = os.fork()
    if child == 0:
        application({'PATH_INFO': '/health'}, None)
        application({'PATH_INFO': '/health'}, None)
        os._exit(0 if started == [os.getpid()] else 1)
    assert os.waitpid(child, 0)[1] == 0
    time.sleep(1.0)
    assert started == []


def test_workers_serve_our_queues_by_default_and_trainings_first():
    assert _default_queues() == ['ml_train', 'ml_predict', 'ml_analysis']


@pytest.fixture(scope='module')
def redis_socket(tmp_path_factory):
    from label_studio.ml_host.launcher import redis

    server = redis.start(tmp_path_factory.mktemp('redis'))
    yield server.socket
    server.stop()


def test_workers_of_the_queue_share_a_run(start, redis_socket):
    processes = start(
        MS_A_BATCH='10',
        ML_PRELABEL_WHERE='queue',
        ML_PRELABEL_SHARD='300',
        LABEL_STUDIO_ML_REDIS_SOCKET=redis_socket,
    )
    processes.start_run(processes.prepare(3000))
    processes.serve(free_port())
    waiting = processes.until(lambda found: found['state'] == 'running')
    assert waiting['shards'] == 10
    assert waiting['done'] == 0
    workers = [processes.work() for _ in range(2)]
    owners = set()
    processes.until(lambda found: owners.update(found['owners']) or found['done'] > 700)
    # A killed worker takes its child with it; another one goes on with its shard.
    processes.kill(workers[0])
    processes.stop(workers[1])
    processes.work()
    found = processes.until(lambda found: found['state'] == 'finished', 120)
    assert_complete(found, 3000)
    assert len(owners - {''}) >= 2
