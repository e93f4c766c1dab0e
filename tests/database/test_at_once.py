"""Several web servers do the same thing at the same moment; PostgreSQL lets them, SQLite takes turns."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ProjectBackend
from label_studio.ml_host.upstream import Project, UpstreamMLBackend
from tests.database.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=['new', 'disabled before'])
def known(request, project, owner, constant):
    if request.param != 'new':
        services.enable(project, 'constant', owner)
        services.disable(project, 'constant', owner)
        BackendEvent.objects.all().delete()
    return project


def test_a_backend_enabled_by_many_is_enabled_once(known, owner):
    raised = at_once(lambda: services.enable(Project.objects.get(pk=known.pk), 'constant', owner))
    assert raised == []
    row = ProjectBackend.objects.get()
    assert row.enabled
    assert UpstreamMLBackend.objects.get().pk == row.connection_id
    assert BackendEvent.objects.filter(action='enabled').count() == 1


def test_a_backend_disabled_by_many_is_disabled_once(project, owner, constant):
    services.enable(project, 'constant', owner)
    raised = at_once(lambda: services.disable(Project.objects.get(pk=project.pk), 'constant', owner))
    assert raised == []
    assert not ProjectBackend.objects.get().enabled
    assert not UpstreamMLBackend.objects.exists()
    assert BackendEvent.objects.filter(action='disabled').count() == 1
