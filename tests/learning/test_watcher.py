"""Trainings begin by themselves: one thread sees the labels, and exactly one process acts."""

import logging
import os
import threading
import time

import pytest
from django.db import connection

from label_studio.ml_host import per_process
from label_studio.ml_host.learning import guard, services, triggers, watcher
from label_studio.ml_host.models import BackendEvent, DatasetSnapshot, ProjectBackend, TrainingRun
from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.training import lifecycle
from label_studio.ml_host.upstream import Annotation
from tests.prelabeling.drive import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def runs(**fields):
    return list(TrainingRun.objects.filter(**fields).order_by('id'))


def looked(run):
    """What a worker does first: it takes the run and reads the labels."""
    run = lifecycle.claim(run.pk)
    given = Annotation.objects.filter(project=run.project_id, was_cancelled=False)
    run.snapshot = DatasetSnapshot.objects.create(
        project_id=run.project_id,
        backend=run.backend,
        digest='0' * 64,
        content=b'',
        annotations=given.count(),
        newest_annotation=given.order_by('-id').values_list('id', flat=True)[0],
        annotators='majority',
    )
    run.save()
    return run


def settled(watching):
    """Waits until the watcher has looked at everything, from now on; a round may be under way."""
    rounds = watching.rounds
    assert eventually(lambda: watching.rounds >= rounds + 2)


def test_the_label_that_completes_the_number_starts_a_training(learn, queue, watching, make_tasks, submit):
    learn(after_labels=3)
    *first, last = make_tasks(3)
    for task in first:
        submit(task)
    settled(watching)
    assert runs() == []
    submit(last)
    assert eventually(runs)
    (run,) = runs()
    assert (run.trigger, run.created_by, run.state) == ('3 new labels', None, 'queued')
    assert eventually(lambda: len(queue.get_job_ids()) == 1)
    assert eventually(lambda: BackendEvent.objects.filter(action='train', user=None).count() == 1)


def test_a_signal_is_enough(learn, queue, watching, make_tasks, submit, monkeypatch):
    learn(after_labels=1)
    settled(watching)
    monkeypatch.setattr(watcher, 'POLL_SECONDS', 1000.0)
    assert eventually(lambda: watching._poll_at > time.monotonic() + 100)
    (task,) = make_tasks(1)
    submit(task)
    assert eventually(runs, 5)


def test_what_comes_past_the_signals_is_seen(learn, queue, watching, project, owner, make_tasks):
    learn(after_labels=4)
    rows = [Annotation(task=task, project=project, completed_by=owner, result=[]) for task in make_tasks(4)]
    Annotation.objects.bulk_create(rows)
    assert eventually(runs)
    looked(runs()[0])
    Annotation.objects.filter(pk__in=[row.pk for row in Annotation.objects.all()[:2]]).delete()
    with connection.cursor() as cursor:
        # As a tool that writes to the tables itself.
        cursor.execute('UPDATE task_completion SET was_cancelled = %s', [True])
    Annotation.objects.bulk_create(
        [Annotation(task=row.task, project=project, completed_by=owner, result=[]) for row in rows[:1]]
    )
    assert eventually(lambda: len(runs()) == 2)
    assert runs()[1].trigger == '1 new and 4 deleted labels'


def test_a_burst_makes_one_running_and_one_waiting_run(learn, queue, watching, project, owner, make_tasks):
    learn(after_labels=5)
    most = 0
    task = make_tasks(1)[0]
    for number in range(150):
        Annotation.objects.create(task=task, project=project, completed_by=owner, result=[])
        if number == 20:
            assert eventually(runs)
            looked(runs()[0])
        most = max(most, len(runs(state__in=('queued', 'running'))))
    assert eventually(lambda: len(runs()) == 2)
    settled(watching)
    assert [run.state for run in runs()] == ['running', 'queued']
    assert most <= 2


def test_several_processes_start_one_run(learn, queue, label, project):
    row = learn(after_labels=2)
    label(3)
    barrier = threading.Barrier(4)
    found, errors = [], []

    def look():
        try:
            mine = ProjectBackend.objects.get(pk=row.pk)
            barrier.wait(10)
            found.append(triggers.look(mine))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(runs()) == 1
    assert len([run for run in found if run is not None]) == 1
    assert len(queue.get_job_ids()) == 1


def test_a_failed_training_is_not_tried_again_for_the_same_labels(learn, queue, watching, label):
    learn(after_labels=2)
    label(2)
    assert eventually(runs)
    lifecycle.finish(looked(runs()[0]), TrainingRun.State.FAILED, 'no good')
    settled(watching)
    assert len(runs()) == 1
    label(2)
    assert eventually(lambda: len(runs()) == 2)


def test_trainings_keep_their_distance(learn, queue, watching, label):
    learn(after_labels=1, every_minutes=60)
    label(1)
    assert eventually(runs)
    lifecycle.finish(looked(runs()[0]), TrainingRun.State.FINISHED)
    label(5)
    settled(watching)
    assert len(runs()) == 1


def test_a_backend_that_does_not_learn_or_is_off_is_left_alone(learn, queue, watching, label, project, counting):
    learn(after_labels=1)
    services.set_learning(project, 'counting', False, {})
    label(2)
    settled(watching)
    assert runs() == []
    ProjectBackend.objects.update(learns=True, enabled=False)
    settled(watching)
    assert runs() == []


def test_a_queue_that_is_away_is_said_once_and_tried_again(
    learn, queue, watching, label, monkeypatch, tmp_path, caplog
):
    from django_rq.settings import QUEUES

    learn(after_labels=1)
    there = QUEUES['ml_train']
    monkeypatch.setitem(QUEUES, 'ml_train', {'UNIX_SOCKET_PATH': str(tmp_path / 'none'), 'DB': 0})
    with caplog.at_level(logging.WARNING, logger=guard.__name__):
        label(1)
        assert eventually(lambda: 'queue cannot be reached' in caplog.text)
        for _ in range(3):
            settled(watching)
    assert caplog.text.count('queue cannot be reached') == 1
    assert 'Traceback' not in caplog.text
    assert runs() == []
    monkeypatch.setitem(QUEUES, 'ml_train', there)
    assert eventually(runs)


def test_a_backend_that_cannot_be_looked_at_keeps_nobody_else_waiting(
    learn, queue, watching, label, inline_plugins, project, owner, monkeypatch, caplog
):
    from label_studio.ml_host.enabling import services as enabling
    from tests.training.conftest import CountingBackend

    inline_plugins('broken', CountingBackend)
    enabling.enable(project, 'broken', owner)
    learn(after_labels=1)
    services.set_learning(project, 'broken', True, {'after_labels': 1, 'every_minutes': 0})
    asked = triggers.look

    def look(row):
        if row.backend == 'broken':
            raise RuntimeError('a defect')
        return asked(row)

    monkeypatch.setattr(triggers, 'look', look)
    with caplog.at_level(logging.WARNING, logger=guard.__name__):
        label(1)
        assert eventually(lambda: runs(backend='counting'))
        settled(watching)
    assert runs(backend='broken') == []
    assert caplog.text.count('cannot be trained now: RuntimeError: a defect') == 1


def test_a_database_that_is_away_for_a_moment_ends_nothing(learn, queue, watching, label, monkeypatch):
    from django.db import OperationalError

    learn(after_labels=1)
    calls = []
    asked = triggers.look

    def look(row):
        calls.append(row)
        if len(calls) < 3:
            raise OperationalError('the database is starting up')
        return asked(row)

    monkeypatch.setattr(triggers, 'look', look)
    label(1)
    assert eventually(runs)


def test_looking_takes_a_small_share_of_the_time(learn, queue, watching, label, monkeypatch):
    learn(after_labels=1000)
    times = []

    def look(row):
        times.append(time.monotonic())
        time.sleep(0.1)

    monkeypatch.setattr(triggers, 'look', look)
    begin = time.monotonic()
    while time.monotonic() < begin + 3:
        watcher.note(ProjectBackend.objects.get().project_id)
    # A twentieth for looking around, a fifth for what is noted: 3 s hold about 6 looks of 0.1 s.
    assert 2 <= len(times) <= 9


def test_a_process_without_a_watcher_notes_nothing(project):
    watcher.note(project.pk)
    assert not watcher.has_only_plugins(project.pk)


def test_a_forked_process_has_a_watcher_of_its_own(watching, monkeypatch):
    here = os.getpid()
    watching.only_plugins = frozenset({1})
    assert watcher.has_only_plugins(1)
    started = []
    monkeypatch.setattr(watcher.Watcher, 'start', lambda self: started.append(self))
    forked = PerProcess(watcher.Watcher)
    first = forked.start()
    assert forked.start() is forked.current() is first
    with monkeypatch.context() as child:
        child.setattr(per_process.os, 'getpid', lambda: here + 1)
        assert forked.current() is None
        # What the process was forked from goes on working; it is not ours to ask.
        assert not watcher.has_only_plugins(1)
        mine = forked.start()
    assert mine is not first
    assert started == [first, mine]
