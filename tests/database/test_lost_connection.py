"""A database server that drops its connections, as a failover or a firewall does, ends no training."""

import threading

import pytest
from django.db import connection

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.training import dataset as datasets
from label_studio.ml_host.training import recorder
from label_studio.ml_host.training.jobs import train
from label_studio.ml_host.upstream import Annotation, Task
from ml_plugins import MLBackend, Param, Serves

pytestmark = pytest.mark.django_db(transaction=True)

TASKS = 7
AWAY_SECONDS = 2.5


class Patient(MLBackend):
    """Loses every connection while it trains, at the moment that the test chose."""

    serves = (Serves('Choices', 'Image'),)
    params = (Param('when', 'computing'),)
    needs_training = True

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]

    def fit(self, dataset, run):
        seen = 0
        for _example in dataset:
            seen += 1
            if seen == 2 and self.param_values['when'] == 'reading':
                self.drop_connections()
        if self.param_values['when'] == 'computing':
            self.drop_connections()
        for step in range(3):
            run.progress(step, 3)
        if self.param_values['when'] == 'at the end':
            self.drop_connections()
        if self.param_values['when'] == 'for seconds':
            self.close_for_seconds()
        (run.directory / 'model').write_text('x')
        return {'seen': seen}


@pytest.fixture
def enabled(project, owner, inline_plugins, monkeypatch, postgresql, tmp_path, settings):
    if connection.vendor != 'postgresql':
        pytest.skip('SQLite has no connections that could be lost')
    name = connection.settings_dict['NAME']

    def drop_connections(self):
        with postgresql.connect() as admin:
            dropped = admin.execute(
                'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s', [name]
            ).fetchall()
        assert dropped

    def allow(allowed):
        with postgresql.connect() as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')

    def close_for_seconds(self):
        allow(False)
        drop_connections(self)
        threading.Timer(AWAY_SECONDS, allow, [True]).start()

    for folder in ('VERSION', 'WORK', 'CACHE', 'LOG'):
        setattr(settings, f'ML_{folder}_DIR', tmp_path / folder.lower())
    monkeypatch.setattr(Patient, 'drop_connections', drop_connections, raising=False)
    monkeypatch.setattr(Patient, 'close_for_seconds', close_for_seconds, raising=False)
    monkeypatch.setattr(recorder, 'WRITE_EVERY', 0)
    monkeypatch.setattr(datasets, 'PAGE', 2)
    inline_plugins('patient', Patient)
    services.enable(project, 'patient', owner)
    value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}
    for number in range(TASKS):
        task = Task.objects.create(project=project, data={'image': f'/{number}.png'})
        Annotation.objects.create(task=task, project=project, completed_by=owner, result=[value])
    yield project
    # What the test leaves is a connection that is gone.
    connection.close()


@pytest.mark.parametrize('when', ['reading', 'computing', 'at the end', 'for seconds'])
def test_training_goes_on_when_connections_are_dropped(enabled, when):
    run = TrainingRun.objects.create(project=enabled, backend='patient', params={'when': when})
    train(run.pk)
    run.refresh_from_db()
    assert (run.state, run.error) == ('finished', '')
    assert run.metrics['seen'] == TASKS
