"""A project that learns: the counting backend of the training tests, its queue, and labels."""

import pytest

from label_studio.ml_host.learning import guard, services, watcher
from tests.training.conftest import (  # noqa: F401
    CountingBackend,
    folders,
    label,
    queue,
    redis_socket,
)


@pytest.fixture
def counting(project, owner, folders, inline_plugins):  # noqa: F811
    """A backend that can be trained, enabled on the project."""
    from label_studio.ml_host.enabling import services as enabling

    inline_plugins('counting', CountingBackend)
    row = enabling.enable(project, 'counting', owner)
    project.refresh_from_db()
    return row


@pytest.fixture
def learn(project, counting, owner):
    """Switches learning on with some settings; returns the row."""

    def switch_on(**values):
        return services.set_learning(project, 'counting', True, {'every_minutes': 0, **values}, owner)

    return switch_on


@pytest.fixture
def watching(monkeypatch):
    """The watcher of a web process, in this one."""
    monkeypatch.setattr(watcher, 'DEBOUNCE_SECONDS', 0.1)
    monkeypatch.setattr(watcher, 'POLL_SECONDS', 0.2)
    monkeypatch.setattr(guard, 'RETRY_SECONDS', 0.2)
    yield watcher.start()
    watcher.stop()


@pytest.fixture
def submit(api):
    """Submits an annotation as a browser does; returns its number."""

    def submitted(task, choice='cat', **fields):
        value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [choice]}}
        response = api.post(f'/api/tasks/{task.pk}/annotations/', {'result': [value], **fields}, format='json')
        assert response.status_code == 201, response.content
        return response.json()['id']

    return submitted


@pytest.fixture
def make_tasks(project):
    """Makes tasks without labels."""
    from label_studio.ml_host.upstream import Task

    def make(count):
        return [Task.objects.create(project=project, data={'image': f'/{number}.png'}) for number in range(count)]

    return make
