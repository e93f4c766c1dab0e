"""A version answers tasks in a worker: batch by batch, fenced or not, until it is done, stopped or hopeless."""

import pytest

from label_studio.ml_host.quality.predicting import UnusableVersionError, ask, model_of
from ml_plugins import MLBackend, Prediction, Serves, Task, TaskFailure
from ml_plugins.exceptions import TaskDataError
from ml_plugins.runtime import fence
from tests.runtime import fenced


class Parrot(MLBackend):
    """Does what a task says."""

    serves = (Serves('Choices', 'Image'),)
    max_batch = 2
    closed = 0

    def predict(self, tasks, interaction=None):
        return [getattr(self, task.data['say'])(task) for task in tasks]

    def close(self):
        type(self).closed += 1

    def cat(self, task):
        return Prediction([self.label_config.control('Choices').choices('cat')])

    def bird(self, task):
        return Prediction([self.label_config.control('Choices').choices('bird')])

    def nothing(self, task):
        return None

    def unreadable(self, task):
        return TaskFailure(task.id, 'the picture is gone')

    def no_data(self, task):
        raise TaskDataError(task.id, 'image', 'cannot be read')

    def error(self, task):
        raise KeyError('colour')


@pytest.fixture
def parrot(project, inline_plugins):
    """Asks the parrot for some words."""
    inline_plugins('parrot', Parrot)
    Parrot.closed = 0

    def say(*words, stop=lambda: False):
        tasks = [Task(number, {'say': word}) for number, word in enumerate(words, 1)]
        return ask(model_of(project, 'parrot', {}, None, 'cpu'), tasks, stop)

    return say


def test_each_task_is_answered_or_has_its_reason(parrot):
    said = parrot('cat', 'unreadable', 'nothing', 'error', 'bird', 'no_data', 'cat')
    assert sorted(said.predictions) == [1, 3, 7]
    assert said.predictions[3] is None
    assert said.predictions[1].result()[0]['value'] == {'choices': ['cat']}
    assert said.unreadable == {2: 'the picture is gone', 6: 'Task 6: field "image" cannot be read'}
    assert sorted(said.errors) == [4, 5]
    assert 'colour' in said.errors[4]
    assert 'bird' in said.errors[5]
    assert Parrot.closed == 1


def test_a_stop_keeps_what_was_answered(parrot):
    asked = []
    said = parrot(*['cat'] * 10, stop=lambda: asked.append(1) or len(asked) > 2)
    assert sorted(said.predictions) == [1, 2, 3, 4]
    assert Parrot.closed == 1


def test_hopeless_version_is_given_up_early(parrot, monkeypatch):
    calls = []
    monkeypatch.setattr(Parrot, 'error', lambda self, task: calls.append(task.id) or 1 / 0)
    with pytest.raises(UnusableVersionError, match='it cannot predict: ZeroDivisionError'):
        parrot(*['error'] * 100)
    assert max(calls) <= 6


@pytest.mark.parametrize('error', [OSError('the weights are gone'), SystemExit(3)], ids=repr)
def test_version_that_does_not_load(parrot, monkeypatch, error):
    def setup(self):
        raise error

    monkeypatch.setattr(Parrot, 'setup', setup)
    with pytest.raises(UnusableVersionError, match=f'it cannot be loaded: {type(error).__name__}'):
        parrot('cat')


def test_unreadable_tasks_are_not_the_versions_fault(parrot):
    said = parrot('unreadable', 'no_data')
    assert (said.predictions, said.errors) == ({}, {})
    assert len(said.unreadable) == 2


@pytest.fixture
def in_a_process(project, inline_plugins, monkeypatch):
    """Asks a backend with a process of its own."""
    monkeypatch.setattr(fence, 'bootstrap', 'tests.runtime.fenced:setup')
    inline_plugins('fenced', fenced.Fenced)
    project.label_config = fenced.CONFIG

    def say(*words, **params):
        tasks = [Task(number, {'text': word}) for number, word in enumerate(words, 1)]
        return ask(model_of(project, 'fenced', params, None, 'cpu'), tasks, lambda: False)

    return say


def test_process_that_dies_costs_its_batch(in_a_process):
    size = fenced.Fenced.max_batch
    said = in_a_process(*['good'] * size, 'segfault', *['good'] * (size + 1))
    assert sorted(said.errors) == list(range(size + 1, 2 * size + 1))
    assert sorted(said.predictions) == [*range(1, size + 1), 2 * size + 1, 2 * size + 2]


def test_process_that_always_dies_is_given_up(in_a_process):
    with pytest.raises(UnusableVersionError, match='it cannot predict'):
        in_a_process(*['leave'] * (fenced.Fenced.max_batch + 1))
