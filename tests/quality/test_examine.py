"""A new version is measured before it goes into service, by a training from the request to the row."""

import json

import pytest

from label_studio.ml_host.models import BackendEvent, Evaluation, ModelVersion
from label_studio.ml_host.quality.answers import answers_of
from label_studio.ml_host.training.snapshot import read

from .conftest import ScriptedBackend, choice, luck

pytestmark = pytest.mark.django_db(transaction=True)


def in_service(row):
    row.refresh_from_db()
    return row.in_service.number if row.in_service else None


def held_out_of(version):
    return set(read(version.snapshot).held_out_ids.tolist())


def asked_of(number):
    return {task_id for version, tasks in ScriptedBackend.asked if version == number for task_id in tasks}


def test_first_version_is_measured_and_served(scripted, label, train, version):
    tasks = {task.pk: task for task in label(60)}
    run = train(0.7)
    made = version(1)
    held_out = held_out_of(made)
    right = [luck(tasks[task_id]) < 0.7 for task_id in held_out]
    assert (run.state, in_service(scripted)) == ('finished', 1)
    assert made.scored_on == len(held_out) >= 5
    assert made.score == pytest.approx(sum(right) / len(right))
    assert 0 <= made.score_low < made.score < made.score_high <= 1
    assert made.reason == f'It is the first version: {made.score:.2f} on {len(held_out)} held-out tasks.'
    # The examination asks for nothing but what is held out.
    assert asked_of(1) == held_out
    stored = answers_of(made)
    assert stored.controls == {'choice'}
    assert {task_id: item.agreement for task_id, item in stored.by_task.items()} == {
        task_id: float(luck(tasks[task_id]) < 0.7) for task_id in held_out
    }
    item = stored.by_task[min(held_out)]
    assert (item.truth[0]['value'], item.score) == ({'choices': [tasks[item.task_id].data['truth']]}, 0.75)


def test_worse_version_is_held_back_with_the_numbers(scripted, label, train, version, project):
    label(80)
    train(1.0)
    run = train(0.1)
    second = version(2)
    assert (run.state, in_service(scripted), second.state) == ('finished', 1, 'candidate')
    assert second.reason.startswith(
        f'It is worse: {second.score:.2f} against 1.00 of version 1 on the same {second.scored_on} held-out tasks, p '
    )
    [event] = BackendEvent.objects.filter(project=project, action=BackendEvent.Action.HELD_BACK)
    assert event.detail['version'] == 2
    # The old version's answers were known, so it was not loaded again.
    assert asked_of(1) == held_out_of(version(1)) == asked_of(2)
    assert [numbers for numbers, _ in ScriptedBackend.asked].count(1) == [n for n, _ in ScriptedBackend.asked].count(2)


def test_equal_version_is_served_by_the_automatic_rule_alone(scripted, label, train, version):
    label(60)
    train(0.8)
    train(0.8)
    assert in_service(scripted) == 2
    assert version(2).reason.startswith('There is no clear difference: ')
    train(0.8, rule='better')
    assert in_service(scripted) == 2
    train(1.0, rule='manual')
    assert in_service(scripted) == 2
    assert version(4).reason.startswith('Versions go into service by hand here: 1.00 against ')


def test_better_version_is_served_by_the_rule_better(scripted, label, train, version):
    label(60)
    train(0.1, rule='better')
    train(1.0, rule='better')
    assert in_service(scripted) == 2
    assert version(2).reason.startswith('It is better: 1.00 against ')


def test_without_held_out_labels(scripted, label, train, version):
    label(4)
    train(1.0)
    train(1.0)
    assert in_service(scripted) == 2
    assert version(2).score is None
    assert version(2).reason == 'Nothing is held out yet, so it could not be held against version 1.'
    assert not Evaluation.objects.exists()
    train(1.0, rule='better')
    assert in_service(scripted) == 2
    # One task still shows that it can be loaded and predicts.
    assert len(asked_of(3)) == 1
    run = train(1.0, mode='raises')
    assert (run.state, in_service(scripted), version(4).state) == ('finished', 2, 'failed')


@pytest.mark.parametrize(
    ('mode', 'reason'),
    [
        ('setup', 'It cannot be used: it cannot be loaded: OSError: the weights are gone'),
        ('raises', 'It cannot be used: it cannot predict: ZeroDivisionError: no good'),
        ('rubbish', 'bird'),
    ],
)
def test_version_that_does_not_work_is_never_served(scripted, label, train, version, mode, reason):
    label(30)
    run = train(mode=mode)
    assert (run.state, in_service(scripted), version(1).state) == ('finished', None, 'failed')
    assert reason in version(1).reason
    train()
    assert in_service(scripted) == 2
    assert version(2).reason.startswith('It is the first version: 1.00 ')


def test_version_that_fails_on_some_tasks_is_worse(scripted, label, train, version):
    label(80)
    train(1.0)
    train(0.4, mode='raises_sometimes')
    second = version(2)
    assert (in_service(scripted), second.state) == (1, 'candidate')
    assert second.reason.startswith('It is worse: ')
    failed = [item for item in answers_of(second).by_task.values() if item.failed]
    assert failed
    assert all(item.agreement == 0.0 and item.answer == [] for item in failed)
    assert second.score == pytest.approx(1 - len(failed) / second.scored_on)


def test_saying_nothing_where_people_say_something_agrees_not_at_all(scripted, label, train, version):
    label(30)
    train(mode='nothing')
    assert version(1).score == 0.0


def test_unreadable_tasks_measure_nothing(scripted, label, train, version):
    label(30)
    train(mode='unreadable')
    assert (in_service(scripted), version(1).score) == (1, None)
    train(mode='unreadable')
    assert (in_service(scripted), version(2).state) == (1, 'candidate')
    assert version(2).reason == 'No held-out task could be measured: the picture is gone'


def test_new_held_out_tasks_are_asked_of_the_version_in_service(scripted, label, train, version):
    label(40)
    train(0.9)
    label(40)
    train(0.95)
    first, second = version(1), version(2)
    added = held_out_of(second) - held_out_of(first)
    assert added
    assert answers_of(first).by_task.keys() == held_out_of(first) | held_out_of(second)
    assert f'on the same {len(held_out_of(second))} held-out tasks' in second.reason
    # What is shown of the first version stays what it was measured on then.
    assert first.scored_on == len(held_out_of(first))


def test_tasks_that_the_old_version_was_trained_on_do_not_count(scripted, project, label, train, version):
    from label_studio.ml_host.upstream import Task

    # Nine tasks from a round number on: of each ten tasks two are held out once there are enough.
    while Task.objects.create(project=project, data={}).pk % 10 != 9:
        pass
    tasks = label(9)
    train(0.0)
    label(50)
    train(0.5)
    seen = {task.pk for task in tasks} & held_out_of(version(2))
    common = len(held_out_of(version(2)) - seen)
    assert seen, 'the split of this test holds out none of the first tasks'
    assert f'on the same {common} held-out tasks' in version(2).reason
    assert not answers_of(version(1)).by_task.keys() & seen


def test_old_answers_are_held_against_the_labels_of_now(scripted, label, train, version):
    from label_studio.ml_host.upstream import Annotation

    label(60)
    train(1.0)
    # People change their minds about each held-out task, so the old answers are wrong by now.
    for annotation in Annotation.objects.filter(task_id__in=held_out_of(version(1))):
        other = {'cat': 'dog', 'dog': 'cat'}[annotation.result[0]['value']['choices'][0]]
        annotation.result = [choice(other)]
        annotation.save()
    train(0.0)
    assert in_service(scripted) == 2
    assert version(2).reason.startswith('It is better: 1.00 against 0.00 of version 1 ')


def test_version_in_service_that_cannot_be_measured_is_replaced(scripted, label, train, version, folders):
    label(9)
    train(1.0)
    script = next(folders.glob('version/**/script.json'))
    script.write_text(json.dumps({'right': 1.0, 'mode': 'setup'}))
    label(50)
    train(0.5)
    assert in_service(scripted) == 2
    assert version(2).reason.startswith('Version 1 cannot be measured any more: it cannot be loaded: ')


def test_other_controls_are_no_business_of_the_model(scripted, label, train, version, project):
    from label_studio.ml_host.upstream import Annotation

    project.label_config = project.label_config.replace(
        '</View>', '<Rating name="quality" toName="image"/><TextArea name="note" toName="image"/></View>'
    )
    project.save()
    label(40)
    for annotation in Annotation.objects.filter(project=project):
        rating = {'from_name': 'quality', 'to_name': 'image', 'type': 'rating', 'value': {'rating': 3}}
        annotation.result = [*annotation.result, rating]
        annotation.save()
    train(1.0)
    assert version(1).score == 1.0


def test_cancelled_while_it_is_measured(scripted, label, train, monkeypatch, queue):
    from label_studio.ml_host.models import TrainingRun

    label(60)
    say = ScriptedBackend.say_well

    def cancel(self, task):
        # What the page's button does, noticed by the run's heartbeat.
        from label_studio.ml_host.training import recorder

        TrainingRun.objects.update(cancel_requested=True)
        monkeypatch.setattr(recorder.Recorder, 'should_stop', lambda self: self._look() or self.flags.any)
        return say(self, task)

    monkeypatch.setattr(ScriptedBackend, 'say_well', cancel)
    run = train()
    assert run.state == 'cancelled'
    assert not ModelVersion.objects.exists()


def test_worker_that_stops_publishes_with_what_was_measured(scripted, label, train, version, monkeypatch):
    from label_studio.ml_host.training import stopping

    label(60)
    say = ScriptedBackend.say_well

    def stop(self, task):
        stopping._shutdown.set()
        return say(self, task)

    monkeypatch.setattr(ScriptedBackend, 'say_well', stop)
    try:
        run = train()
    finally:
        stopping._shutdown.clear()
    assert (run.state, in_service(scripted)) == ('finished', 1)
    assert version(1).scored_on == ScriptedBackend.max_batch < len(held_out_of(version(1)))


def test_training_is_not_lost_when_measuring_breaks(scripted, label, train, version, monkeypatch):
    from label_studio.ml_host.quality import examine

    label(30)
    monkeypatch.setattr(examine, 'score_of', lambda values: 1 / 0)
    run = train()
    assert (run.state, in_service(scripted), version(1).score) == ('finished', 1, None)
    assert version(1).reason == 'No held-out task could be measured: ZeroDivisionError: division by zero'
    run = train()
    assert (run.state, in_service(scripted), version(2).state) == ('finished', 1, 'candidate')


def test_version_that_cannot_be_closed_is_measured(scripted, label, train, version, monkeypatch):
    label(30)
    # What fits is another instance, and not loaded.
    monkeypatch.setattr(ScriptedBackend, 'close', lambda self: self.script and 1 / 0, raising=False)
    monkeypatch.setattr(ScriptedBackend, 'script', None, raising=False)
    train()
    assert (in_service(scripted), version(1).score) == (1, 1.0)


def test_plugin_measures_in_its_own_way(scripted, label, train, version, monkeypatch):
    label(40)
    seen = []

    def measure(cls, answer, truth):
        seen.append((answer, truth))
        return 0.25

    monkeypatch.setattr(ScriptedBackend, 'agreement', classmethod(measure))
    train(1.0)
    assert version(1).score == 0.25
    assert all([item['from_name'] for item in (*answer, *truth)] == ['choice'] * 2 for answer, truth in seen)


@pytest.mark.parametrize('returned', [2, 'much', None])
def test_broken_measure_of_a_plugin_falls_back(scripted, label, train, version, monkeypatch, returned):
    from ml_plugins.failures import failure_log

    label(40)
    monkeypatch.setattr(ScriptedBackend, 'agreement', classmethod(lambda cls, answer, truth: returned))
    train(1.0)
    assert version(1).score == 1.0
    failure = failure_log.of('scripted')[-1]
    assert failure.stage == 'check'
    assert f'agreement() returned {returned!r}; it must be a number in 0..1' in failure.error
