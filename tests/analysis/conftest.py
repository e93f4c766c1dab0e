"""Projects with labeled digits, a backend that gives embeddings of them, and a queue with a real worker."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from label_studio.ml_host.enabling import services as enabling
from label_studio.ml_host.sampling import feeding
from ml_plugins import MLBackend, Prediction, Serves
from tests.pages.conftest import browser, press, sign_in  # noqa: F401
from tests.training.conftest import folders, redis_socket  # noqa: F401

DIGITS = load_digits()
CONFIG = '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{digit}"/>' for digit in range(10))
)


class DigitsBackend(MLBackend):
    """Gives the picture that a task names as its embedding, and no probabilities worth anything."""

    serves = (Serves('Choices', 'Text'),)
    asked: list[int] = []

    def predict(self, tasks, interaction=None):
        type(self).asked.extend(task.id for task in tasks)
        control = self.label_config.control('Choices', 'Text')
        return [self.say(control, int(task.data['text'])) for task in tasks]

    def say(self, control, number):
        spread = {control.name: np.full(len(control.labels), 1 / len(control.labels))}
        return Prediction([control.choices(control.labels[0])], 0.1, spread, DIGITS.data[number] / 16)


class SilentBackend(DigitsBackend):
    """Gives nothing but labels."""

    def say(self, control, number):
        return Prediction([control.choices(control.labels[0])])


class ProbableBackend(DigitsBackend):
    """Gives probabilities, no embeddings."""

    def say(self, control, number):
        row = np.random.default_rng(number).dirichlet(np.where(np.arange(10) == DIGITS.target[number], 6.0, 0.5))
        return Prediction([control.choices(control.labels[0])], 0.1, {control.name: row})


@pytest.fixture(autouse=True)
def _own_folders(folders, settings, tmp_path):  # noqa: F811
    settings.ML_ANSWER_DIR = tmp_path / 'answers'
    DigitsBackend.asked.clear()
    yield
    feeding.flush()


@pytest.fixture
def queue(redis_socket, monkeypatch):  # noqa: F811
    """The queue of analyses on a Redis of the tests, empty; the worker's other queues are there too."""
    import django_rq
    from django_rq.settings import QUEUES

    for name in ('ml_train', 'ml_predict', 'ml_analysis'):
        monkeypatch.setitem(QUEUES, name, {'UNIX_SOCKET_PATH': redis_socket, 'DB': 0, 'DEFAULT_TIMEOUT': 60})
    queue = django_rq.get_queue('ml_analysis')
    queue.connection.flushall()
    return queue


@pytest.fixture
def project(owner):
    """A project of digits: a task's text is the number of a picture."""
    from label_studio.ml_host.upstream import Project

    return Project.objects.create(
        title='Digits', created_by=owner, organization=owner.active_organization, label_config=CONFIG
    )


@pytest.fixture
def label(project, owner):
    """Gives `label(numbers, labels)`: a labeled task for each picture; returns the annotations."""
    from label_studio.ml_host.upstream import Annotation, Task

    def add(numbers, labels=None, user=owner):
        given = [str(DIGITS.target[number]) for number in numbers] if labels is None else labels
        rows = [Task(project=project, data={'text': str(number)}, is_labeled=True) for number in numbers]
        tasks = Task.objects.bulk_create(rows)
        values = [
            {'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [str(choice)]}}
            for choice in given
        ]
        return Annotation.objects.bulk_create(
            Annotation(task=task, project=project, completed_by=user, result=[value])
            for task, value in zip(tasks, values, strict=True)
        )

    return add


@pytest.fixture
def enable(project, owner, inline_plugins):
    """Gives `enable(backend_class)`: a plugin `digits`, enabled on the project."""

    def switch(backend_class=DigitsBackend):
        inline_plugins('digits', backend_class)
        return enabling.enable(project, 'digits', owner)

    return switch


@pytest.fixture
def base(project):
    """Where the backend is in the REST API."""
    return f'/api/projects/{project.pk}/ml-backends/digits/'


@pytest.fixture
def strategies():
    """Gives `strategies(*classes)`: query strategies that are there during the test."""
    from ml_plugins.strategies import registry, strategy_classes

    before = strategy_classes()

    def add(*classes):
        registry.strategies_room._classes = {**before, **{item.name: item for item in classes}}

    yield add
    registry.strategies_room._classes = before


@pytest.fixture
def work(queue):
    """Works off the queue in this process."""
    from rq import SimpleWorker

    def burst():
        SimpleWorker([queue], connection=queue.connection).work(burst=True)

    return burst


class Annotator:
    """One person at the label stream."""

    def __init__(self, user, project):
        from rest_framework.test import APIClient

        self.user, self.project, self.client = user, project, APIClient()
        self.client.force_authenticate(user)

    def next(self):
        """The answer of the label stream, or None when there is nothing left."""
        response = self.client.get(f'/api/projects/{self.project.pk}/next/')
        assert response.status_code in (200, 404), response.content
        return response.json() if response.status_code == 200 else None

    def submit(self, task_id, choice):
        """Answer a task."""
        value = {'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [choice]}}
        response = self.client.post(f'/api/tasks/{task_id}/annotations/', {'result': [value]}, format='json')
        assert response.status_code == 201, response.content


@pytest.fixture
def annotator(project, owner):
    """Gives `annotator(name)`: another member of the organization, who labels the project."""
    from label_studio.ml_host.upstream import User

    def make(name, user=None):
        if user is None:
            organization = owner.active_organization
            user = User.objects.create_user(email=f'{name}@example.org', password='secret-pass')
            organization.add_user(user)
            user.active_organization = organization
            user.save(update_fields=['active_organization'])
        return Annotator(user, project)

    return make
