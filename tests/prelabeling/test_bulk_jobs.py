"""Shards in the queue: each has a job until somebody works on it, also when Redis forgets or goes away."""

from datetime import timedelta

import pytest
from django.utils import timezone

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.prelabeling import conductor, jobs, runs
from label_studio.ml_host.upstream import Prediction
from tests.prelabeling.drive import make_tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope='module')
def redis_server(tmp_path_factory):
    from label_studio.ml_host.launcher import redis

    server = redis.start(tmp_path_factory.mktemp('redis'))
    yield server
    server.stop()


@pytest.fixture
def queue(redis_server, monkeypatch, settings):
    import django_rq
    from django_rq.settings import QUEUES

    place = {'UNIX_SOCKET_PATH': redis_server.socket, 'DB': 0, 'DEFAULT_TIMEOUT': 60}
    monkeypatch.setitem(QUEUES, 'ml_predict', place)
    settings.ML_PRELABEL_WHERE = 'queue'
    settings.ML_PRELABEL_SHARD = 10
    queue = django_rq.get_queue('ml_predict')
    queue.connection.flushall()
    return queue


@pytest.fixture
def run(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    make_tasks(project, 30)
    return runs.start(project, 'constant')


def test_each_shard_gets_one_job(queue, run):
    conductor.begin_runs()
    assert jobs.enqueue_waiting() == 3
    assert len(queue) == 3
    assert jobs.enqueue_waiting() == 0


def test_jobs_do_the_run_and_those_that_come_late_do_nothing(queue, run):
    from rq import SimpleWorker

    conductor.begin_runs()
    jobs.enqueue_waiting()
    SimpleWorker([queue], connection=queue.connection).work(burst=True)
    assert len(queue) == 0
    run.refresh_from_db()
    assert run.state == 'finished'
    assert Prediction.objects.count() == 30


def test_jobs_that_redis_has_forgotten_are_queued_again(queue, run):
    conductor.begin_runs()
    jobs.enqueue_waiting()
    queue.connection.flushall()
    assert jobs.enqueue_waiting() == 0
    PrelabelShard.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=16))
    assert jobs.enqueue_waiting() == 3


def test_a_shard_that_waits_in_the_queue_for_long_gets_no_second_job(queue, run):
    conductor.begin_runs()
    jobs.enqueue_waiting()
    PrelabelShard.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=16))
    assert jobs.enqueue_waiting() == 0


def test_a_shard_of_a_lost_worker_gets_a_job_and_one_of_a_lively_worker_does_not(queue, run):
    conductor.begin_runs()
    first, second, third = PrelabelShard.objects.all()
    far = 'other-machine/pid:[1]/7#abc'
    PrelabelShard.objects.filter(pk=first.pk).update(owner=far, heartbeat_at=timezone.now())
    PrelabelShard.objects.filter(pk=second.pk).update(owner=far, heartbeat_at=timezone.now() - timedelta(seconds=20))
    assert jobs.enqueue_waiting() == 2
    assert PrelabelShard.objects.get(pk=first.pk).owner == far
    assert set(PrelabelShard.objects.filter(pk__in=(second.pk, third.pk)).values_list('owner', flat=True)) == {''}


def test_a_queue_that_is_away_is_said_and_waited_for(queue, run, monkeypatch):
    from django_rq.settings import QUEUES

    conductor.begin_runs()
    place = dict(QUEUES['ml_predict'])
    monkeypatch.setitem(QUEUES, 'ml_predict', {**place, 'UNIX_SOCKET_PATH': '/nowhere.sock'})
    conductor.hand_to_queue()
    assert 'the queue cannot be reached' in PrelabelRun.objects.get().note
    monkeypatch.setitem(QUEUES, 'ml_predict', place)
    conductor.hand_to_queue()
    assert len(queue) == 3
    from rq import SimpleWorker

    SimpleWorker([queue], connection=queue.connection).work(burst=True)
    run.refresh_from_db()
    assert (run.state, run.note) == ('finished', '')
