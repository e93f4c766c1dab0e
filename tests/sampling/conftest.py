"""Projects whose next task is chosen by active learning, and people who label them."""

import pytest
from rest_framework.test import APIClient

from label_studio.ml_host.enabling import services as enabling
from label_studio.ml_host.models import SamplingPlan
from label_studio.ml_host.sampling import feeding, low, queueing
from label_studio.ml_host.sampling.queueing import Choice


@pytest.fixture(autouse=True)
def _nothing_left(settings, tmp_path):
    """Nothing of another test: neither what was noted nor what models said."""
    settings.ML_ANSWER_DIR = tmp_path / 'answers'
    low.take()
    yield
    feeding.flush()


@pytest.fixture
def make_tasks(project):
    """Gives `make_tasks(count)`: adds tasks to the project and returns their numbers."""
    from label_studio.ml_host.upstream import Task

    def make(count, **fields):
        made = Task.objects.bulk_create(
            Task(project=project, data={'image': f'/{number}.png'}, **fields) for number in range(count)
        )
        return [task.pk for task in made]

    return make


@pytest.fixture
def plan(project, owner, constant):
    """Active learning, switched on."""
    enabling.enable(project, 'constant', owner)
    return SamplingPlan.objects.create(project=project, backend='constant', enabled=True, strategy='margin', seed=7)


@pytest.fixture
def queue(plan):
    """Gives `queue(task_ids)`: has these tasks wait to be served, in this order."""

    def put(task_ids, **fields):
        chosen = [Choice(task_id, 1 / rank, rank, 0.95) for rank, task_id in enumerate(task_ids, start=1)]
        return queueing.append(plan, chosen, 'constant-v0', **fields)

    return put


@pytest.fixture
def make_user(owner):
    """Gives `make_user(name)`: another member of the organization."""
    from label_studio.ml_host.upstream import User

    def make(name):
        organization = owner.active_organization
        user = User.objects.create_user(email=f'{name}@example.org', password='secret-pass')
        organization.add_user(user)
        user.active_organization = organization
        user.save(update_fields=['active_organization'])
        return user

    return make


class Annotator:
    """One person at the label stream.

    Args:
        user: Upstream's user.
        project: Upstream's project.
    """

    def __init__(self, user, project):
        self.user, self.project, self.client = user, project, APIClient()
        self.client.force_authenticate(user)

    def next(self):
        """The answer of the label stream, or None when there is nothing left."""
        response = self.client.get(f'/api/projects/{self.project.pk}/next/')
        assert response.status_code in (200, 404), response.content
        return response.json() if response.status_code == 200 else None

    def next_id(self):
        """Number of the next task."""
        answer = self.next()
        return answer['id'] if answer else None

    def submit(self, task_id, **fields):
        """Answer a task."""
        result = [{'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}]
        response = self.client.post(f'/api/tasks/{task_id}/annotations/', {'result': result, **fields}, format='json')
        assert response.status_code == 201, response.content

    def skip(self, task_id):
        """Skip a task."""
        self.submit(task_id, was_cancelled=True)


@pytest.fixture
def annotator(project, make_user):
    """Gives `annotator(name)`: somebody who labels the project."""

    def make(name):
        return Annotator(make_user(name), project)

    return make
