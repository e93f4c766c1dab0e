"""What a plugin says is stored or refused alike on every database; PostgreSQL takes less than SQLite does."""

import math
import time

import numpy as np
import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import FailureRecord, TrainingRun
from label_studio.ml_host.prelabeling import bulk
from label_studio.ml_host.training.jobs import train
from label_studio.ml_host.upstream import Prediction as StoredPrediction
from label_studio.ml_host.upstream import Task
from ml_plugins import MLBackend, Param, Prediction, Serves
from ml_plugins.exceptions import ParameterError
from ml_plugins.failures import Stage, failure_log, record_failure

pytestmark = pytest.mark.django_db(transaction=True)

CONFIG = '<View><Text name="text" value="$text"/><TextArea name="answer" toName="text"/></View>'
# What comes of a file name that is not UTF-8.
BROKEN_NAME = b'caf\xe9.png'.decode(errors='surrogateescape')
UNSTORABLE = {
    'nul': {'text': ['a\x00b']},
    'nul in a key': {'text': ['a'], 'a\x00b': 1},
    'surrogate': {'text': [BROKEN_NAME]},
    'nan': {'text': ['a'], 'start': math.nan},
    'infinite': {'text': ['a'], 'start': -math.inf},
    'numpy': {'text': ['a'], 'start': np.float32(1.5)},
    'bytes': {'text': ['a'], 'raw': b'a'},
}


class Says(MLBackend):
    """Answers with a value that the test chose; trains as the test chose."""

    serves = (Serves('TextArea', 'Text'),)
    params = (Param('fit', 'raises'), Param('rate', 0.5))
    value = {}

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('TextArea', 'Text')
        return [
            Prediction([control.text('fine') if task.data['text'] == 'fine' else control.region(self.value)])
            for task in tasks
        ]

    def fit(self, dataset, run):
        return getattr(self, f'fit_{self.param_values["fit"]}')(run)

    def fit_raises(self, run):
        raise ValueError(f'cannot read {BROKEN_NAME} with a \x00 in it')

    def fit_reports(self, run):
        run.skip(1, f'{BROKEN_NAME}\x00')
        run.progress(3 * 2**31, 4 * 2**31, **{'loss\x00': 1.0})
        run.progress(3 * 2**31, 4 * 2**31)
        (run.directory / 'model').write_text('x')
        return {'accuracy': 1.0}


@pytest.fixture
def folders(tmp_path, settings):
    for name in ('VERSION', 'WORK', 'CACHE', 'LOG'):
        setattr(settings, f'ML_{name}_DIR', tmp_path / name.lower())


@pytest.fixture
def enabled(project, owner, inline_plugins):
    inline_plugins('says', Says)
    project.label_config = CONFIG
    project.save()
    services.enable(project, 'says', owner)
    project.refresh_from_db()
    return project


def recorded():
    return [failure.error for failure in failure_log.of('says')]


@pytest.mark.parametrize('kind', UNSTORABLE)
def test_a_value_that_cannot_be_stored_is_a_failure_of_the_plugin(enabled, api, kind, monkeypatch):
    monkeypatch.setattr(Says, 'value', UNSTORABLE[kind])
    failure_log.clear()
    task = Task.objects.create(project=enabled, data={'text': 'a'})
    opened = api.get(f'/api/tasks/{task.pk}/')
    assert opened.status_code == 200
    assert opened.json()['predictions'] == []
    assert 'region 0' in recorded()[-1]


def test_the_other_tasks_of_a_batch_are_predicted(enabled, monkeypatch):
    monkeypatch.setattr(Says, 'value', UNSTORABLE['nul'])
    tasks = [Task.objects.create(project=enabled, data={'text': text}) for text in ('fine', 'a', 'fine')]
    outcome = bulk.predict_tasks(enabled.pk, 'says', tasks)
    assert (outcome.made, len(outcome.failures)) == (2, 1)
    assert set(StoredPrediction.objects.values_list('task_id', flat=True)) == {tasks[0].pk, tasks[2].pk}


def test_a_failure_is_kept_whatever_its_message_holds(enabled, kept_failures):
    record_failure('says', Stage.PREDICT, ValueError(f'bad {BROKEN_NAME} and \x00'), enabled.pk)
    end = time.monotonic() + 5
    while not (kept := FailureRecord.objects.first()) and time.monotonic() < end:
        time.sleep(0.05)
    assert kept is not None
    assert kept.error.startswith('ValueError: bad caf')
    assert kept.project_id == enabled.pk


@pytest.fixture
def run(enabled, owner, folders):
    from label_studio.ml_host.upstream import Annotation

    def started(how):
        services.set_params(enabled, 'says', {'fit': how}, owner)
        task = Task.objects.create(project=enabled, data={'text': 'a'})
        value = {'from_name': 'answer', 'to_name': 'text', 'type': 'textarea', 'value': {'text': ['a']}}
        Annotation.objects.create(task=task, project=enabled, completed_by=owner, result=[value])
        row = TrainingRun.objects.create(project=enabled, backend='says', params={'fit': how})
        train(row.pk)
        row.refresh_from_db()
        return row

    return started


def test_a_run_fails_with_its_reason_whatever_the_message_holds(run):
    failed = run('raises')
    assert failed.state == 'failed'
    assert failed.error.startswith('ValueError: cannot read caf')
    assert 'Traceback' in failed.traceback


def test_a_run_reports_whatever_it_holds(run):
    finished = run('reports')
    assert (finished.state, finished.error) == ('finished', '')
    assert finished.skipped[0]['reason'].startswith('caf')
    assert finished.metrics['accuracy'] == 1.0
    assert finished.metrics['loss\\x00'] == 1.0
    assert finished.total > 0
    assert abs(finished.done / finished.total - 0.75) < 0.001


@pytest.mark.parametrize('value', ['a\x00b', BROKEN_NAME])
def test_a_parameter_that_cannot_be_stored_is_refused_by_name(enabled, owner, value):
    with pytest.raises(ParameterError, match=r'"fit".*cannot be stored'):
        services.set_params(enabled, 'says', {'fit': value}, owner)


@pytest.mark.parametrize('value', [math.nan, math.inf, 'nan'])
def test_a_number_that_cannot_be_stored_is_refused_by_name(enabled, api, value):
    answer = api.patch(f'/api/projects/{enabled.pk}/ml-backends/says/', {'params': {'rate': str(value)}}, 'json')
    assert answer.status_code == 400
    assert '"rate"' in answer.json()['detail']


@pytest.mark.parametrize('number', [2**31, 2**63, 10**30])
def test_a_number_beyond_the_columns_is_not_found(enabled, api, number):
    base = f'/api/projects/{enabled.pk}/ml-backends/says'
    assert api.get(f'{base}/runs/{number}/').status_code == 404
    assert api.post(f'{base}/versions/{number}/put-in-service/').status_code == 404
    assert api.get(f'/api/projects/{number}/ml-backends/').status_code == 404
