"""An adapter in the server: trained on the queue, measured, published, and asked when a task opens."""

import base64

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.training import runs
from label_studio.ml_host.upstream import Annotation, Task
from label_studio.ml_host.versions.files import version_files
from label_studio.ml_host.versions.safety import refuse_unsafe
from ml_plugins import Serves
from ml_plugins.adapters import SklearnBackend
from tests.e2e.browsing import until
from tests.e2e.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


class Tints(SklearnBackend):
    serves = [Serves('Choices', 'Image')]
    picture_size = (4, 4)


@pytest.fixture
def tints(project, owner, folders, inline_plugins):
    inline_plugins('tints', Tints)
    return services.enable(project, 'tints', owner)


def tasks_of(project, owner, count, labeled=True):
    made = []
    for place in range(count):
        name, colour = (('cat', 'red'), ('dog', 'blue'))[place % 2]
        address = f'data:image/png;base64,{base64.b64encode(picture(colour, place)).decode()}'
        made.append(Task.objects.create(project=project, data={'image': address}))
        if labeled:
            value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [name]}}
            Annotation.objects.create(task=made[-1], project=project, completed_by=owner, result=[value])
    return made


def test_an_estimator_learns_on_the_queue_and_answers_when_a_task_opens(project, owner, tints, work, api):
    tasks_of(project, owner, 40)
    run = runs.request_training(project, 'tints', owner)
    work()
    run.refresh_from_db()
    assert (run.state, run.error) == ('finished', '')
    assert run.metrics['accuracy'] > 0.9
    files = version_files(run.version).path
    refuse_unsafe(files, [path.name for path in files.iterdir()], Tints.safe_files)
    red, blue = tasks_of(project, owner, 2, labeled=False)
    # The first task opens while the model is loaded; its prediction arrives later.
    said = [until(lambda task=task: api.get(f'/api/tasks/{task.pk}/').json()['predictions']) for task in (red, blue)]
    assert [predictions[0]['result'][0]['value'] for predictions in said] == [
        {'choices': ['cat']},
        {'choices': ['dog']},
    ]
    assert said[0][0]['score'] > 0.5
