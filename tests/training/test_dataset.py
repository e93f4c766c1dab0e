"""Streaming labeled tasks and the stable split."""

import pytest

from label_studio.ml_host.training import dataset as module
from label_studio.ml_host.training.dataset import DatabaseDataset, is_held_out

pytestmark = pytest.mark.django_db


def test_only_submitted_annotations_count(project, label, owner):
    from label_studio.ml_host.upstream import Annotation

    first, second = label(2)
    label(1, was_cancelled=True)
    Annotation.objects.create(task=first, project=project, completed_by=owner, result=[], ground_truth=True)
    Annotation.objects.create(task=second, project=project, completed_by=owner, result=None, was_cancelled=True)
    data = DatabaseDataset(project, 0.2)
    assert len(data) == 2
    examples = {example.task.id: example for example in data}
    assert set(examples) == {first.pk, second.pk}
    assert [item.ground_truth for item in examples[first.pk].annotations] == [False, True]
    assert examples[second.pk].annotation.labels('choice') == ['cat']
    assert examples[second.pk].task.data == {'image': '/1.png'}


def test_pages_join_without_a_gap(project, label, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(module, 'PAGE', 3)
    tasks = label(8)
    assert [example.task.id for example in DatabaseDataset(project, 0.2)] == [task.pk for task in tasks]


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


def test_the_share_is_about_right():
    share = sum(is_held_out(7, task, 0.2) for task in range(5000)) / 5000
    assert share == pytest.approx(0.2, abs=0.02)
