"""Switching a plugin off and on loses none of its predictions."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.prelabeling.store import source_of, store
from label_studio.ml_host.upstream import Prediction, Task, UpstreamMLBackend
from ml_plugins import Prediction as Answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def predicted(project, owner, constant):
    """A task with predictions of two versions and one that somebody imported."""
    services.enable(project, 'constant', owner)
    row = ProjectBackend.objects.get()
    task = Task.objects.create(project=project, data={'image': 'x'})
    store(source_of(row), [(task.pk, Answer([], score=0.1))])
    row.in_service = ModelVersion.objects.create(
        project=project, backend='constant', number=1, directory='x', digest='x'
    )
    row.save()
    store(source_of(row), [(task.pk, Answer([], score=0.2))])
    Prediction.objects.create(project=project, task=task, model_version='imported', result=[], score=0.3)
    return task


def by_version() -> dict[str, int | None]:
    return dict(Prediction.objects.values_list('model_version', 'model_id'))


def test_off_and_on(project, owner, predicted):
    services.disable(project, 'constant', owner)
    assert by_version() == {'constant-v0': None, 'constant-v1': None, 'imported': None}
    predicted.refresh_from_db()
    assert predicted.total_predictions == 3
    services.enable(project, 'constant', owner)
    connection = ProjectBackend.objects.get().connection_id
    assert by_version() == {'constant-v0': connection, 'constant-v1': connection, 'imported': None}


def test_disconnected_on_upstreams_page(api, project, predicted):
    connection = UpstreamMLBackend.objects.get()
    assert api.delete(f'/api/ml/{connection.pk}').status_code == 204
    assert by_version() == {'constant-v0': None, 'constant-v1': None, 'imported': None}
    assert not ProjectBackend.objects.get().enabled


def test_predictions_of_an_http_backend_go_as_with_upstream(project, predicted):
    UpstreamMLBackend.objects.bulk_create([UpstreamMLBackend(project=project, url='http://localhost:9', title='http')])
    connection = UpstreamMLBackend.objects.get(title='http')
    Prediction.objects.create(project=project, task=predicted, model=connection, model_version='1', result=[])
    connection.delete()
    assert '1' not in by_version()


def test_a_deleted_project_takes_them_along(project, predicted):
    project.delete()
    assert not Prediction.objects.exists()
