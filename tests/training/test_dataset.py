"""Streaming labeled tasks and the stable split."""

import pytest

from label_studio.ml_host.task_data.remote import remote_of
from label_studio.ml_host.training import dataset as module
from label_studio.ml_host.training import scanning
from label_studio.ml_host.training.dataset import DatabaseDataset
from label_studio.ml_host.training.split import FEWEST_TO_HOLD_OUT, place_of

pytestmark = pytest.mark.django_db


def test_only_submitted_annotations_count(project, label, owner):
    from label_studio.ml_host.upstream import Annotation

    first, second = label(2)
    label(1, was_cancelled=True)
    Annotation.objects.create(task=first, project=project, completed_by=owner, result=[])
    Annotation.objects.create(task=second, project=project, completed_by=owner, result=None, was_cancelled=True)
    data = DatabaseDataset(project, 0.2, 'all')
    assert len(data) == 2
    examples = {example.task.id: example for example in data}
    assert set(examples) == {first.pk, second.pk}
    assert [item.labels('choice') for item in examples[first.pk].annotations] == [['cat'], []]
    assert examples[second.pk].annotation.labels('choice') == ['cat']
    assert examples[second.pk].task.data == {'image': '/1.png'}


def test_pages_join_without_a_gap(project, label, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(module, 'PAGE', 3)
    monkeypatch.setattr(scanning, 'PAGE', 3)
    tasks = label(8)
    assert [example.task.id for example in DatabaseDataset(project, 0.2)] == [task.pk for task in tasks]


def test_only_the_wanted_tasks_are_read(project, label, django_assert_num_queries):
    tasks = label(6)
    data = DatabaseDataset(project, 0.2)
    # Whether the project stands for one of another Label Studio is asked once in a process.
    remote_of(project.pk)
    with django_assert_num_queries(2):
        found = list(data.only({tasks[4].pk, tasks[1].pk, 10**9}))
    assert [example.task.id for example in found] == [tasks[1].pk, tasks[4].pk]
    assert list(data.only(())) == []


def test_the_split_is_stable_and_whole(project, label):
    tasks = label(40)
    data = DatabaseDataset(project, 0.3)
    held_out = {example.task.id for example in data.held_out}
    train = {example.task.id for example in data.train}
    assert held_out | train == {task.pk for task in tasks}
    assert not held_out & train
    assert set(data.train_task_ids()) == train
    label(5)
    assert held_out <= {example.task.id for example in DatabaseDataset(project, 0.3).held_out}


@pytest.fixture
def picked(monkeypatch):
    """Makes the hash pick these tasks for the evaluation split, the first one most of all."""

    def pick(*tasks):
        places = {task.pk: place / 1000 for place, task in enumerate(tasks)}
        monkeypatch.setattr(scanning, 'place_of', lambda project_id, task_id: places.get(task_id, 0.9))

    return pick


def held_out_of(project):
    data = DatabaseDataset(project, 0.2)
    held_out = {example.task.id for example in data.held_out}
    assert held_out == {example.task.id for example in data if example.held_out}
    assert not held_out & set(data.train_task_ids())
    assert data.held_out_count() == len(held_out)
    return held_out


def test_nothing_is_held_out_of_very_few_labels(project, label, picked):
    tasks = label(FEWEST_TO_HOLD_OUT - 1)
    picked(*tasks)
    assert held_out_of(project) == set()
    label(1)
    assert held_out_of(project) == {task.pk for task in tasks}


def test_the_only_example_of_a_label_is_learned_from(project, label, picked):
    cats, (dog,) = label(20), label(1, 'dog')
    picked(dog, cats[0])
    assert held_out_of(project) == {cats[0].pk}


def test_of_a_label_whose_tasks_are_all_picked_one_is_learned_from(project, label, picked):
    label(20)
    dogs = label(3, 'dog')
    picked(*dogs)
    # Always the one that the hash would have held out last.
    assert held_out_of(project) == {dogs[0].pk, dogs[1].pk}
    label(1, 'dog')
    assert held_out_of(project) == {dog.pk for dog in dogs}


def test_tasks_to_which_no_label_applies_are_a_kind_of_their_own(project, label, picked):
    from label_studio.ml_host.upstream import Annotation

    label(20)
    (empty,) = label(1)
    Annotation.objects.filter(task=empty).update(result=[])
    picked(empty)
    assert held_out_of(project) == set()


def test_only_the_annotation_that_is_learned_from_decides(project, label, owner, picked):
    from label_studio.ml_host.upstream import Annotation

    label(20)
    (task,) = label(1, 'dog')
    value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}
    Annotation.objects.create(task=task, project=project, completed_by=owner, result=[value], ground_truth=True)
    picked(task)
    assert held_out_of(project) == {task.pk}


def test_the_share_is_about_right():
    share = sum(place_of(7, task) < 0.2 for task in range(5000)) / 5000
    assert share == pytest.approx(0.2, abs=0.02)


def test_also_of_the_first_few_tasks_some_are_held_out():
    for project in range(1, 50):
        for first in (10, 70, 4520):
            assert sum(place_of(project, task) < 0.2 for task in range(first, first + 10)) == 2
