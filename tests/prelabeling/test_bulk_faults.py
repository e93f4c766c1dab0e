"""Bulk runs in the server's background threads while things go wrong."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import PrelabelRun, PrelabelShard, ProjectBackend
from label_studio.ml_host.prelabeling import conductor, lease, runs, turns, writer
from label_studio.ml_host.prelabeling.store import source_of
from label_studio.ml_host.upstream import Prediction, Project, Task
from tests.inline_plugins import ConstantBackend
from tests.prelabeling.drive import eventually, finish, make_tasks

pytestmark = pytest.mark.django_db(transaction=True)


class Slow(ConstantBackend):
    pause = 0.02

    def predict(self, tasks, interaction=None):
        time.sleep(self.pause)
        return super().predict(tasks, interaction)


@pytest.fixture
def enable(project, owner, inline_plugins):
    def with_class(backend, on=project):
        inline_plugins('special', backend)
        services.enable(on, 'special', owner)
        on.refresh_from_db()
        return on

    return with_class


@pytest.fixture
def server():
    """The background threads of a web process."""
    conductor.start()
    yield
    conductor.stop()
    lease.open_again()


def dealt(run):
    found = runs.progress(run)
    return found.done, found.skipped, found.failed


def state(run):
    return PrelabelRun.objects.values_list('state', flat=True).get(pk=run.pk)


def ended(run):
    return eventually(lambda: state(run) not in ('queued', 'running'), 60)


def one_each():
    """Whether every task has exactly one prediction, and its counter says so."""
    tasks = Task.objects.values_list('id', 'total_predictions')
    found = list(Prediction.objects.values_list('task_id', flat=True))
    return sorted(found) == sorted(number for number, _ in tasks) and {total for _, total in tasks} == {1}


def test_a_run_is_worked_on_in_the_background(enable, server):
    project = enable(Slow)
    make_tasks(project, 300)
    run = runs.start(project, 'special')
    assert ended(run)
    assert state(run) == 'finished'
    assert one_each()


def test_a_running_run_is_cancelled_soon_and_goes_on_where_it_stopped(enable, server, owner):
    project = enable(Slow)
    make_tasks(project, 3000)
    run = runs.start(project, 'special')
    assert eventually(lambda: runs.progress(run).done > 100)
    started = time.monotonic()
    runs.cancel(run, owner)
    assert ended(run)
    assert time.monotonic() - started < 5
    run.refresh_from_db()
    assert run.state == 'cancelled'
    done = dealt(run)[0]
    assert 0 < done < 3000
    assert Prediction.objects.count() == done
    ConstantBackend.calls.clear()
    runs.resume(run, owner)
    assert ended(run)
    run.refresh_from_db()
    assert run.state == 'finished'
    assert run.done_before == done
    # What was with the model when the run was cancelled is predicted again.
    assert 0 <= sum(ConstantBackend.calls) - (3000 - done) <= 32
    assert one_each()


def test_tasks_that_are_opened_meanwhile_get_no_second_prediction(enable, server, api):
    project = enable(Slow)
    ids = make_tasks(project, 1200)
    run = runs.start(project, 'special')
    for task_id in [*ids[:60:6], *ids[-15:], *ids[600:615]]:
        opened = api.get(f'/api/tasks/{task_id}/')
        assert opened.status_code == 200
        assert len(opened.json()['predictions']) == 1
    assert ended(run)
    assert dealt(run)[2] == 0
    assert one_each()


def test_a_batch_that_hangs_fails_alone(enable, server, settings):
    class Hangs(ConstantBackend):
        def predict(self, tasks, interaction=None):
            if any(task.data['image'].endswith('picture 77') for task in tasks):
                time.sleep(20)
            return super().predict(tasks, interaction)

    settings.ML_PREDICT_TIMEOUT = 1.0
    project = enable(Hangs)
    ids = make_tasks(project, 400)
    run = runs.start(project, 'special')
    assert ended(run)
    assert state(run) == 'finished'
    failed = set(run.failures.values_list('task_id', flat=True))
    assert ids[77] in failed
    assert len(failed) <= 16
    assert 'did not answer' in run.failures.first().reason
    assert Prediction.objects.count() == 400 - len(failed)


def test_a_run_waits_for_a_backend_that_rests(enable, server, settings):
    class Recovers(ConstantBackend):
        works_from = None

        def predict(self, tasks, interaction=None):
            cls = type(self)
            cls.works_from = cls.works_from or time.monotonic() + 1.0
            if time.monotonic() < cls.works_from:
                raise RuntimeError('not yet')
            return super().predict(tasks, interaction)

    settings.ML_BREAKER_SECONDS = 1.5
    project = enable(Recovers)
    make_tasks(project, 2000)
    run = runs.start(project, 'special')
    assert eventually(lambda: 'rests' in runs.progress(PrelabelRun.objects.get(pk=run.pk)).note)
    assert ended(run)
    run.refresh_from_db()
    assert (run.state, run.note) == ('finished', '')
    done, _, failed = dealt(run)
    assert done + failed == 2000
    assert done > 0
    assert 'not yet' in run.failures.first().reason


def test_a_backend_that_never_works_fails_the_run(enable, server, settings):
    class Broken(ConstantBackend):
        def predict(self, tasks, interaction=None):
            raise RuntimeError('no good')

    settings.ML_BREAKER_SECONDS = 0.3
    project = enable(Broken)
    make_tasks(project, 5000)
    run = runs.start(project, 'special')
    assert ended(run)
    run.refresh_from_db()
    assert run.state == 'failed'
    assert 'no good' in run.error
    assert runs.progress(run).dealt_with < 5000


def test_a_full_queue_slows_the_run_and_fails_nothing(enable, server, settings):
    settings.ML_QUEUE_TASKS = 20
    project = enable(Slow)
    make_tasks(project, 200)
    run = runs.start(project, 'special')
    assert ended(run)
    assert dealt(run) == (200, 0, 0)


def test_a_disabled_backend_stops_at_once(enable, server, owner):
    project = enable(Slow)
    make_tasks(project, 3000)
    run = runs.start(project, 'special')
    assert eventually(lambda: runs.progress(run).done > 0)
    services.disable(project, 'special', owner)
    assert ended(run)
    run.refresh_from_db()
    assert run.state == 'cancelled'
    assert 'disabled' in run.error


def test_a_project_can_be_deleted_while_it_is_pre_labeled(enable, server, api, monkeypatch):
    monkeypatch.setattr(Slow, 'pause', 0.005)
    project = enable(Slow)
    make_tasks(project, 3000)
    run = runs.start(project, 'special')
    assert eventually(lambda: runs.progress(run).done > 0)
    assert api.delete(f'/api/projects/{project.pk}/').status_code == 204
    assert eventually(lambda: lease.held() == [])
    assert not PrelabelRun.objects.exists()
    assert not Prediction.objects.exists()


def test_a_changed_label_config_is_followed(enable, server):
    class SaysLast(Slow):
        def predict(self, tasks, interaction=None):
            from ml_plugins import Prediction

            time.sleep(self.pause)
            control = self.label_config.control('Choices', 'Image')
            return [Prediction([control.choices(control.labels[-1])]) for _ in tasks]

    project = enable(SaysLast)
    make_tasks(project, 2500)
    run = runs.start(project, 'special')
    assert eventually(lambda: runs.progress(run).done > 0)
    changed = project.label_config.replace('<Choice value="dog"/>', '<Choice value="dog"/><Choice value="cow"/>')
    Project.objects.filter(pk=project.pk).update(label_config=changed)
    assert ended(run)
    said = [row[0]['value']['choices'][0] for row in Prediction.objects.order_by('id').values_list('result', flat=True)]
    assert (said[0], said[-1], len(said)) == ('dog', 'cow', 2500)


def test_a_small_run_does_not_wait_for_a_large_one(enable, server, owner, monkeypatch):
    monkeypatch.setattr(turns, 'TURN_SECONDS', 0.5)
    large = enable(Slow)
    small = Project.objects.create(
        title='Small', created_by=owner, organization=large.organization, label_config=large.label_config
    )
    enable(Slow, on=small)
    make_tasks(large, 4000)
    make_tasks(small, 20)
    first = runs.start(large, 'special')
    assert eventually(lambda: runs.progress(first).done > 0)
    second = runs.start(small, 'special')
    assert ended(second)
    assert state(second) == 'finished'
    assert state(first) == 'running'
    runs.cancel(first)
    assert ended(first)


# --- The database -----------------------------------------------------------------------------------------------------


@pytest.fixture
def failing_writes(monkeypatch):
    """Every other transaction fails, before or after its commit."""
    real = writer.ShardWriter._write
    monkeypatch.setattr(writer, 'PAUSES', (0.01, 0.01, 0.01))
    tries = []

    def flaky(when):
        def write(self, *args):
            tries.append(1)
            if len(tries) % 2 and when == 'before':
                raise OperationalError('database is locked')
            real(self, *args)
            if len(tries) % 2 and when == 'after':
                raise OperationalError('the connection was lost')

        monkeypatch.setattr(writer.ShardWriter, '_write', write)
        return tries

    return flaky


@pytest.mark.parametrize('when', ['before', 'after'])
def test_a_transaction_that_fails_is_repeated_and_counts_once(enable, failing_writes, when):
    tries = failing_writes(when)
    project = enable(ConstantBackend)
    make_tasks(project, 1200)
    run = finish(runs.start(project, 'special'))
    assert run.state == 'finished'
    assert dealt(run) == (1200, 0, 0)
    assert len(tries) > 4
    assert one_each()


def test_a_database_that_stays_away_loses_nothing(enable, monkeypatch):
    project = enable(ConstantBackend)
    make_tasks(project, 100)
    run = runs.start(project, 'special')
    monkeypatch.setattr(writer, 'PAUSES', (0.01,))
    real = writer.ShardWriter._write

    def refuse(self, *args):
        raise OperationalError('no connection')

    monkeypatch.setattr(writer.ShardWriter, '_write', refuse)
    conductor.begin_runs()
    with pytest.raises(OperationalError):
        turns.work_next()
    assert state(run) == 'running'
    monkeypatch.setattr(writer.ShardWriter, '_write', real)
    finish(run)
    assert dealt(run) == (100, 0, 0)


# --- Leases -----------------------------------------------------------------------------------------------------------


def shard_of_a_running_run(project):
    runs.start(project, 'special')
    conductor.begin_runs()
    return PrelabelShard.objects.get()


def test_only_one_takes_a_shard(enable):
    project = enable(ConstantBackend)
    make_tasks(project, 10)
    shard = shard_of_a_running_run(project)
    taken = []
    start = threading.Barrier(8)

    def take():
        start.wait()
        try:
            if (mine := lease.claim(shard)) is not None:
                taken.append(mine)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert lease.next_free() is None
    lease.release(taken[0])
    assert lease.next_free() == shard


def test_a_silent_owner_loses_its_shard_and_writes_no_more(enable, settings):
    project = enable(ConstantBackend)
    make_tasks(project, 10)
    shard = shard_of_a_running_run(project)
    elsewhere = 'other-machine/pid:[1]/77#abc'
    PrelabelShard.objects.update(owner=elsewhere, heartbeat_at=timezone.now() - timedelta(seconds=16))
    first = PrelabelShard.objects.get()
    mine = lease.claim(first)
    assert mine is not None
    PrelabelShard.objects.update(owner=elsewhere)
    with pytest.raises(writer.LeaseLostError):
        source = source_of(ProjectBackend.objects.select_related('in_service').get())
        writer.ShardWriter(mine, shard, source, None).write(writer.Answers(cursor=shard.last_id, done=10, at_end=True))
    lease.forget(mine)
    assert PrelabelShard.objects.get().done == 0


def test_a_lively_owner_elsewhere_keeps_its_shard(enable):
    project = enable(ConstantBackend)
    make_tasks(project, 10)
    shard_of_a_running_run(project)
    PrelabelShard.objects.update(owner='other-machine/pid:[1]/77#abc', heartbeat_at=timezone.now())
    assert lease.next_free() is None
    assert lease.claim(PrelabelShard.objects.get()) is None


def test_a_process_that_is_known_to_have_ended_loses_its_shard_at_once(enable):
    from label_studio.ml_host.training.lifecycle import process_name

    project = enable(ConstantBackend)
    make_tasks(project, 10)
    shard_of_a_running_run(project)
    # Our own process id without a lease of ours: ids come back.
    PrelabelShard.objects.update(owner=f'{process_name()}#before', heartbeat_at=timezone.now())
    assert lease.next_free() is not None


def test_a_run_that_is_cancelled_while_the_model_is_loaded_takes_it_from_nobody(server, enable, caplog):
    """Each new version of a model that learns overtakes runs like that, and others wait for the same model."""
    begun, go_on = threading.Event(), threading.Event()

    class Large(ConstantBackend):
        def setup(self):
            begun.set()
            assert go_on.wait(30)

    caplog.set_level('INFO', logger='label_studio.ml_host.prelabeling.engine')
    on = enable(Large)
    ids = make_tasks(on, 30)
    first = runs.start(on, 'special', ids[:10])
    assert begun.wait(30)
    runs.cancel(first)
    assert ended(first)
    # Whoever worked on it has noticed.
    assert eventually(lambda: f'Work on shard {first.shards.get().pk} stops' in caplog.text, 40)
    second = runs.start(on, 'special')
    go_on.set()
    assert ended(second)
    second.refresh_from_db()
    assert (second.state, second.error) == ('finished', '')
    assert dealt(second) == (30, 0, 0)
