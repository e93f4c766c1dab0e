"""Asking for a training, coalescing, cancelling, and finding lost runs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from label_studio.ml_host.models import BackendEvent, TrainingRun
from label_studio.ml_host.training import lifecycle, runs
from ml_plugins.exceptions import TrainingError

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_request_is_queued_once_and_on_record(ask, queue, owner):
    first, second = ask(), ask()
    assert first.pk == second.pk
    assert len(queue.get_job_ids()) == 1
    assert list(BackendEvent.objects.values_list('action', 'user')) == [('train', owner.pk)]


def test_one_runs_and_one_waits(ask, queue, label, work):
    label(2)
    first = ask()
    running = lifecycle.claim(first.pk)
    second = ask()
    assert second.pk != first.pk
    assert ask().pk == second.pk
    # A worker that comes to the waiting one leaves it alone …
    work()
    second.refresh_from_db()
    assert second.state == 'queued'
    assert queue.get_job_ids() == []
    # … and the end of the running one starts it.
    lifecycle.finish(running, TrainingRun.State.FINISHED)
    lifecycle.start_waiting(running)
    work()
    second.refresh_from_db()
    assert second.state == 'finished'


def test_a_backend_that_is_not_enabled_is_refused(project, counting, queue):
    counting.enabled = False
    counting.save()
    with pytest.raises(TrainingError, match='"counting" is not enabled on project'):
        runs.request_training(project, 'counting')


def test_a_backend_that_does_not_train_is_refused(project, constant, folders, queue):
    from label_studio.ml_host.models import ProjectBackend

    ProjectBackend.objects.create(project=project, backend='constant', enabled=True)
    with pytest.raises(runs.CannotTrainError, match='does not train'):
        runs.request_training(project, 'constant')


def test_without_redis_nothing_is_left_behind(ask, monkeypatch, tmp_path):
    from django_rq.settings import QUEUES

    monkeypatch.setitem(QUEUES, 'ml_train', {'UNIX_SOCKET_PATH': str(tmp_path / 'none'), 'DB': 0})
    with pytest.raises(runs.QueueUnavailableError, match='Check that Redis is running'):
        ask()
    assert not TrainingRun.objects.exists()


def test_redis_that_goes_between_check_and_queue_leaves_nothing_behind(ask, monkeypatch, tmp_path):
    from django_rq.settings import QUEUES

    monkeypatch.setitem(QUEUES, 'ml_train', {'UNIX_SOCKET_PATH': str(tmp_path / 'none'), 'DB': 0})
    monkeypatch.setattr(runs, 'check_queue', lambda: None)
    with pytest.raises(runs.QueueUnavailableError):
        ask()
    assert not TrainingRun.objects.exists()
    assert not BackendEvent.objects.exists()


def test_cancelling_a_waiting_run_ends_it(ask, queue, owner):
    run = ask()
    runs.cancel(run, owner)
    assert run.state == 'cancelled'
    assert queue.get_job_ids() == []
    runs.cancel(run, owner)
    assert BackendEvent.objects.filter(action='cancel').count() == 1


def test_a_silent_run_is_queued_again_and_in_the_end_fails(ask, queue, settings):
    settings.ML_RUN_ATTEMPTS = 1
    run = lifecycle.claim(ask().pk)
    queue.connection.flushall()
    TrainingRun.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1), worker='elsewhere/x/1')
    assert runs.recover_lost_runs() == 1
    run.refresh_from_db()
    assert (run.state, run.attempts, len(queue.get_job_ids())) == ('queued', 1, 1)
    lifecycle.claim(run.pk)
    TrainingRun.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1), worker='elsewhere/x/1')
    assert runs.recover_lost_runs() == 1
    run.refresh_from_db()
    assert run.state == 'failed'
    assert 'was lost' in run.error
    assert 'tried 2 times' in run.error


def test_a_run_of_a_dead_process_on_this_machine_is_found_at_once(ask, queue):
    run = lifecycle.claim(ask().pk)
    assert runs.recover_lost_runs() == 0
    TrainingRun.objects.update(worker=f'{lifecycle.place()}/4194999')
    assert runs.recover_lost_runs() == 1
    run.refresh_from_db()
    assert run.state == 'queued'


def test_a_lost_run_gives_way_to_the_one_that_waits(ask, queue):
    first = lifecycle.claim(ask().pk)
    second = ask()
    TrainingRun.objects.filter(pk=first.pk).update(worker=f'{lifecycle.place()}/4194999')
    runs.recover_lost_runs()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ('cancelled', 'queued')
    assert 'newer run' in first.error


def test_a_queue_that_lost_its_jobs_gets_them_back(ask, queue, label, work):
    label(1)
    run = ask()
    queue.connection.flushall()
    assert runs.recover_lost_runs() == 0, 'a run this young may be on its way'
    TrainingRun.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert runs.recover_lost_runs() == 1
    assert runs.recover_lost_runs() == 0
    work()
    run.refresh_from_db()
    assert run.state == 'finished'
