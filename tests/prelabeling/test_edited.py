"""A task whose data people change is predicted anew; nothing that was said of the data before is shown."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.upstream import Annotation, Prediction, Task
from ml_plugins import MLBackend, Serves
from ml_plugins.types import Prediction as Said

pytestmark = pytest.mark.django_db(transaction=True)


class ByNameBackend(MLBackend):
    """Cats are the pictures whose name says so."""

    serves = (Serves('Choices', 'Image'),)

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Image')
        return [Said([control.choices('cat' if 'cat' in task.data['image'] else 'dog')], 0.9) for task in tasks]


@pytest.fixture
def task(project, owner, inline_plugins):
    inline_plugins('by_name', ByNameBackend)
    services.enable(project, 'by_name', owner)
    return Task.objects.create(project=project, data={'image': 'https://example.org/cat.jpg'})


@pytest.fixture
def shown(api, task):
    def opened():
        predictions = api.get(f'/api/tasks/{task.pk}/').json()['predictions']
        return [item['result'][0]['value']['choices'] for item in predictions]

    return opened


@pytest.fixture
def edit(api, task):
    def patch(**fields):
        response = api.patch(f'/api/tasks/{task.pk}/', fields, format='json')
        assert response.status_code == 200, response.content

    return patch


def test_other_data_are_predicted_anew(task, shown, edit):
    assert shown() == [['cat']]
    edit(data={'image': 'https://example.org/dog.jpg'})
    assert not Prediction.objects.exists()
    task.refresh_from_db()
    assert task.total_predictions == 0
    assert shown() == [['dog']]


def test_a_change_of_something_else_leaves_the_prediction(shown, edit):
    assert shown() == [['cat']]
    before = Prediction.objects.get().pk
    edit(meta={'who': 'somebody'})
    edit(data={'image': 'https://example.org/cat.jpg'})
    assert Prediction.objects.get().pk == before


def test_predictions_of_people_and_those_that_annotations_began_with_stay(project, task, shown, edit):
    assert shown() == [['cat']]
    made = Prediction.objects.get()
    Annotation.objects.create(project=project, task=task, result=made.result, parent_prediction=made)
    imported = Prediction.objects.create(project=project, task=task, result=[], model_version='imported')
    edit(data={'image': 'https://example.org/dog.jpg'})
    assert set(Prediction.objects.values_list('pk', flat=True)) == {made.pk, imported.pk}
