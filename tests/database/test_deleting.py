"""A project is deleted with everything that the fork keeps about it."""

import pytest

from label_studio.ml_host import models
from label_studio.ml_host.enabling import services
from label_studio.ml_host.upstream import Prediction, Project, Task, UpstreamMLBackend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def used(project, owner, constant):
    """A project with a row in each of our tables that belong to one."""
    services.enable(project, 'constant', owner)
    row = models.ProjectBackend.objects.get()
    version = models.ModelVersion.objects.create(project=project, backend='constant', number=1, directory='none')
    row.in_service = version
    row.save()
    models.TrainingRun.objects.create(project=project, backend='constant', state='finished', version=version)
    models.TrainingRun.objects.create(project=project, backend='constant', state='queued')
    models.FailureRecord.objects.create(plugin='constant', stage='predict', error='bad', project=project)
    task = Task.objects.create(project=project, data={'image': '/1.png'})
    Prediction.objects.create(task=task, project=project, model=row.connection, model_version='constant-v1', result=[])
    return project


def left():
    """Tables that still hold a row of some project."""
    ours = [model for model in vars(models).values() if isinstance(model, type) and hasattr(model, '_meta')]
    tables = [model for model in ours if any(field.name == 'project' for field in model._meta.fields)]
    return [model.__name__ for model in (*tables, UpstreamMLBackend, Prediction, Project) if model.objects.exists()]


def test_a_project_that_uses_a_backend_is_deleted(used):
    assert len(left()) >= 8
    used.delete()
    assert left() == []


def test_through_the_api(used, api):
    assert api.delete(f'/api/projects/{used.pk}/').status_code == 204
    assert left() == []
