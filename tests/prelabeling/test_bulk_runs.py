"""Bulk runs on real models: what is predicted, left out, failed, and what it costs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import ModelVersion, PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.errors import (
    BackendNotEnabledError,
    NeedsTrainingError,
    NothingToPrelabelError,
    WrongStateError,
    WrongVersionError,
)
from label_studio.ml_host.upstream import Prediction, Task
from ml_plugins import TaskFailure
from tests.inline_plugins import ConstantBackend
from tests.prelabeling.drive import finish, make_tasks, until_idle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def enabled(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return project


@pytest.fixture
def enable(project, owner, inline_plugins):
    def with_class(backend):
        inline_plugins('special', backend)
        services.enable(project, 'special', owner)
        project.refresh_from_db()
        return project

    return with_class


def dealt(run):
    found = runs.progress(run)
    return found.done, found.skipped, found.failed


def test_every_task_gets_its_prediction_with_few_statements(enabled, owner):
    make_tasks(enabled, 2000)
    run = runs.start(enabled, 'constant', user=owner)
    assert (run.state, run.total, run.label) == ('queued', 2000, 'constant-v0')
    with CaptureQueriesContext(connection) as queries:
        finish(run)
    assert (run.state, run.error) == ('finished', '')
    assert dealt(run) == (2000, 0, 0)
    assert runs.progress(run).percent == 100
    assert Prediction.objects.filter(model_version='constant-v0').count() == 2000
    row = Prediction.objects.first()
    assert row.result[0]['value'] == {'choices': ['cat']}
    assert (row.score, row.project_id) == (0.9, enabled.pk)
    assert row.model_id == ProjectBackend.objects.get().connection_id
    assert set(Task.objects.values_list('total_predictions', flat=True)) == {1}
    assert len(queries) <= 0.05 * 2000, len(queries)


def test_batches_are_full(enabled, constant):
    make_tasks(enabled, 320)
    finish(runs.start(enabled, 'constant'))
    assert sum(constant.calls) == 320
    assert len(constant.calls) <= 22, constant.calls


def test_a_second_run_predicts_nothing_again(enabled, constant):
    make_tasks(enabled, 50)
    finish(runs.start(enabled, 'constant'))
    constant.calls.clear()
    again = finish(runs.start(enabled, 'constant'))
    assert dealt(again) == (0, 50, 0)
    assert constant.calls == []
    assert Prediction.objects.count() == 50


def test_only_selected_tasks_are_predicted(enabled):
    ids = make_tasks(enabled, 30)
    wanted = [ids[3], ids[7], ids[7], ids[29], ids[29] + 1000]
    run = finish(runs.start(enabled, 'constant', wanted))
    assert run.total == 4
    assert dealt(run) == (3, 1, 0)
    assert set(Prediction.objects.values_list('task_id', flat=True)) == {ids[3], ids[7], ids[29]}


def test_a_large_selection_is_worked_off_in_pages(enabled):
    ids = make_tasks(enabled, 2500)
    run = finish(runs.start(enabled, 'constant', ids[::2]))
    assert dealt(run) == (1250, 0, 0)
    assert set(Prediction.objects.values_list('task_id', flat=True)) == set(ids[::2])


def test_selected_tasks_of_other_projects_are_left_out(enabled, owner):
    from label_studio.ml_host.upstream import Project

    other = Project.objects.create(
        title='Other', created_by=owner, organization=enabled.organization, label_config=enabled.label_config
    )
    foreign = make_tasks(other, 2)
    own = make_tasks(enabled, 2)
    run = finish(runs.start(enabled, 'constant', foreign + own))
    assert dealt(run) == (2, 2, 0)
    assert set(Prediction.objects.values_list('task_id', flat=True)) == set(own)


def test_labeled_tasks_are_left_out_when_asked(enabled):
    make_tasks(enabled, 4)
    labeled = make_tasks(enabled, 3, is_labeled=True)
    run = finish(runs.start(enabled, 'constant', skip_labeled=True))
    assert dealt(run) == (4, 3, 0)
    assert not Prediction.objects.filter(task_id__in=labeled).exists()


def test_tasks_with_any_prediction_are_left_out_when_asked(enabled):
    ids = make_tasks(enabled, 5)
    Prediction.objects.create(task_id=ids[0], project=enabled, model_version='imported', result=[])
    assert dealt(finish(runs.start(enabled, 'constant', skip_predicted=True))) == (4, 1, 0)
    assert dealt(finish(runs.start(enabled, 'constant'))) == (1, 4, 0)
    assert Task.objects.get(pk=ids[0]).total_predictions == 2


def test_a_run_keeps_its_version_when_a_newer_one_goes_into_service(enabled, constant, monkeypatch):
    monkeypatch.setattr('label_studio.ml_host.serving.host._version_files', lambda version: None)
    make_tasks(enabled, 40)
    first, second = (
        ModelVersion.objects.create(project=enabled, backend='constant', number=number, directory='none')
        for number in (1, 2)
    )
    ProjectBackend.objects.update(in_service=first)
    run = runs.start(enabled, 'constant')
    ProjectBackend.objects.update(in_service=second)
    finish(run)
    assert set(Prediction.objects.values_list('model_version', flat=True)) == {'constant-v1'}
    finish(runs.start(enabled, 'constant', version=second))
    assert Prediction.objects.filter(model_version='constant-v2').count() == 40
    assert set(Task.objects.values_list('total_predictions', flat=True)) == {2}


def test_a_deleted_version_fails_the_run_with_its_reason(enabled):
    make_tasks(enabled, 3)
    version = ModelVersion.objects.create(project=enabled, backend='constant', number=1, directory='none')
    run = runs.start(enabled, 'constant', version=version)
    version.delete()
    finish(run)
    assert run.state == 'failed'
    assert 'constant-v1 was deleted' in run.error
    with pytest.raises(WrongVersionError, match='was deleted'):
        runs.resume(run)


class Poisoned(ConstantBackend):
    def predict(self, tasks, interaction=None):
        if any(task.data['image'].endswith(' 7') for task in tasks):
            raise ValueError('seven is poison')
        return super().predict(tasks, interaction)


def test_one_poisonous_task_fails_alone(enable, owner):
    project = enable(Poisoned)
    ids = make_tasks(project, 60)
    run = finish(runs.start(project, 'special'))
    assert run.state == 'finished'
    assert dealt(run) == (59, 0, 1)
    failure = run.failures.get()
    assert failure.task_id == ids[7]
    assert 'seven is poison' in failure.reason


def test_failed_tasks_are_retried_alone(enable, owner, monkeypatch):
    project = enable(Poisoned)
    ids = make_tasks(project, 60)
    run = finish(runs.start(project, 'special'))
    monkeypatch.setattr(Poisoned, 'predict', ConstantBackend.predict)
    ConstantBackend.calls.clear()
    again = finish(runs.retry_failed(run, owner))
    assert (again.one_by_one, again.total) == (True, 1)
    assert dealt(again) == (1, 0, 0)
    assert set(ConstantBackend.calls) == {1}
    assert Prediction.objects.filter(task_id=ids[7]).count() == 1
    with pytest.raises(NothingToPrelabelError):
        runs.retry_failed(again)


@pytest.mark.parametrize('surplus', [-1, 1])
def test_a_model_that_answers_too_few_or_too_many_makes_no_predictions(enable, surplus):
    class Miscounts(ConstantBackend):
        def predict(self, tasks, interaction=None):
            answers = super().predict(tasks, interaction)
            return answers[:-1] if surplus < 0 else [*answers, answers[0]]

    project = enable(Miscounts)
    make_tasks(project, 3)
    run = finish(runs.start(project, 'special'))
    assert run.state == 'finished'
    assert dealt(run) == (0, 0, 3)
    assert 'predict returned' in run.failures.first().reason
    assert not Prediction.objects.exists()


def test_invalid_answers_fail_and_the_others_are_stored(enable):
    class Invalid(ConstantBackend):
        def predict(self, tasks, interaction=None):
            answers = super().predict(tasks, interaction)
            return [
                'rubbish' if task.data['image'].endswith('2') else answer
                for task, answer in zip(tasks, answers, strict=True)
            ]

    project = enable(Invalid)
    ids = make_tasks(project, 10)
    run = finish(runs.start(project, 'special'))
    assert dealt(run) == (9, 0, 1)
    assert run.failures.get().task_id == ids[2]
    assert 'not a Prediction' in run.failures.get().reason


def test_nothing_to_say_counts_as_done_and_a_refusal_as_failed(enable):
    class Silent(ConstantBackend):
        def predict(self, tasks, interaction=None):
            return [TaskFailure(task.id, 'too dark') if task.data['image'].endswith('1') else None for task in tasks]

    project = enable(Silent)
    ids = make_tasks(project, 5)
    run = finish(runs.start(project, 'special'))
    assert dealt(run) == (4, 0, 1)
    assert list(run.failures.values_list('task_id', 'reason')) == [(ids[1], 'too dark')]
    assert not Prediction.objects.exists()


def test_a_model_that_cannot_be_loaded_fails_the_run(enable):
    class NoWeights(ConstantBackend):
        def setup(self):
            raise OSError('the weights are gone')

    project = enable(NoWeights)
    make_tasks(project, 3)
    run = finish(runs.start(project, 'special'))
    assert run.state == 'failed'
    assert 'the weights are gone' in run.error
    assert dealt(run) == (0, 0, 0)


def test_a_failed_run_is_resumed(enable, monkeypatch):
    class NoWeights(ConstantBackend):
        broken = True

        def setup(self):
            if self.broken:
                raise OSError('the weights are gone')

    project = enable(NoWeights)
    make_tasks(project, 3)
    run = finish(runs.start(project, 'special'))
    assert run.state == 'failed'
    monkeypatch.setattr(NoWeights, 'broken', False)
    runs.resume(run)
    finish(run)
    assert (run.state, run.error) == ('finished', '')
    assert dealt(run) == (3, 0, 0)


def test_a_disabled_backend_cancels_its_runs(enabled, owner):
    make_tasks(enabled, 3)
    run = runs.start(enabled, 'constant')
    services.disable(enabled, 'constant', owner)
    finish(run)
    assert run.state == 'cancelled'
    assert 'disabled' in run.error
    with pytest.raises(BackendNotEnabledError):
        runs.resume(run)


def test_what_cannot_be_started_is_refused_with_a_sentence(enabled, owner, inline_plugins):
    class Untrained(ConstantBackend):
        needs_training = True

    with pytest.raises(NothingToPrelabelError, match='no tasks'):
        runs.start(enabled, 'constant')
    with pytest.raises(NothingToPrelabelError, match='No tasks are selected'):
        runs.start(enabled, 'constant', [])
    with pytest.raises(BackendNotEnabledError, match='"absent" is not enabled'):
        runs.start(enabled, 'absent')
    make_tasks(enabled, 1)
    foreign = ModelVersion.objects.create(project=enabled, backend='other', number=1, directory='none')
    with pytest.raises(WrongVersionError, match='other-v1'):
        runs.start(enabled, 'constant', version=foreign)
    inline_plugins('untrained', Untrained)
    services.enable(enabled, 'untrained', owner)
    with pytest.raises(NeedsTrainingError, match='train it first'):
        runs.start(enabled, 'untrained')
    assert not PrelabelRun.objects.exists()


def test_a_waiting_run_is_cancelled_at_once_and_can_be_resumed(enabled, owner):
    make_tasks(enabled, 3)
    run = runs.start(enabled, 'constant')
    runs.cancel(run, owner)
    assert run.state == 'cancelled'
    until_idle()
    assert not Prediction.objects.exists()
    runs.resume(run, owner)
    assert run.state == 'queued'
    finish(run)
    assert dealt(run) == (3, 0, 0)
    with pytest.raises(WrongStateError, match='finished'):
        runs.resume(run)


def test_two_runs_of_one_backend_run_one_after_the_other(enabled):
    from label_studio.ml_host.prelabeling import conductor

    ids = make_tasks(enabled, 6)
    first, second = runs.start(enabled, 'constant', ids[:3]), runs.start(enabled, 'constant', ids[3:])
    conductor.begin_runs()
    states = dict(PrelabelRun.objects.values_list('pk', 'state'))
    assert states == {first.pk: 'running', second.pk: 'queued'}
    until_idle()
    assert set(PrelabelRun.objects.values_list('state', flat=True)) == {'finished'}


def test_pressing_the_button_twice_makes_one_waiting_run(enabled):
    make_tasks(enabled, 3)
    assert runs.start(enabled, 'constant') == runs.start(enabled, 'constant')
    assert runs.start(enabled, 'constant', skip_labeled=True) != runs.start(enabled, 'constant')


def test_old_runs_are_forgotten_with_their_failures(enabled):
    from label_studio.ml_host.models import PrelabelFailure
    from label_studio.ml_host.prelabeling import lifecycle

    make_tasks(enabled, 1)
    made = [finish(runs.start(enabled, 'constant', [1, 2, number + 3])) for number in range(lifecycle.KEPT_RUNS)]
    PrelabelFailure.objects.create(run=made[0], task_id=1, reason='x')
    finish(runs.start(enabled, 'constant'))
    assert PrelabelRun.objects.count() == lifecycle.KEPT_RUNS
    assert not PrelabelRun.objects.filter(pk=made[0].pk).exists()
    assert not PrelabelFailure.objects.exists()
