"""A backend that is right as often as it is told to be, and a project whose tasks say what is right."""

import hashlib
import json

import pytest

from ml_plugins import MLBackend, Param, Prediction, Serves, TaskFailure
from tests.training.conftest import folders, queue, redis_socket, work  # noqa: F401


def luck(task):
    """A fixed number in 0..1 of a task."""
    return int.from_bytes(hashlib.sha256(task.data['image'].encode()).digest()[:4], 'big') / 2**32


class ScriptedBackend(MLBackend):
    """Knows the right answer and gives it on a share of the tasks; `mode` says how a version misbehaves."""

    serves = (Serves('Choices', 'Image'),)
    params = (Param('right', 1.0), Param('mode', 'well'))
    max_batch = 4
    asked: list[tuple[int, list[int]]] = []

    def setup(self):
        self.script = json.loads((self.version.path / 'script.json').read_text())
        if self.script['mode'] == 'setup':
            raise OSError('the weights are gone')

    def fit(self, dataset, run):
        learned = [example.task.id for example in dataset.train]
        run.progress(len(learned), len(learned))
        (run.directory / 'script.json').write_text(json.dumps(dict(self.param_values)))
        return {'learned': len(learned)}

    def predict(self, tasks, interaction=None):
        type(self).asked.append((self.version.number, [task.id for task in tasks]))
        return [getattr(self, f'say_{self.script["mode"]}')(task) for task in tasks]

    def say_well(self, task):
        is_right = luck(task) < self.script['right']
        other = {'cat': 'dog', 'dog': 'cat'}[task.data['truth']]
        return Prediction([self._control.choices(task.data['truth'] if is_right else other)], score=0.75)

    def say_raises(self, task):
        raise ZeroDivisionError('no good')

    def say_raises_sometimes(self, task):
        return self.say_well(task) if luck(task) < self.script['right'] else self.say_raises(task)

    def say_rubbish(self, task):
        return Prediction([self._control.choices('bird')])

    def say_unreadable(self, task):
        return TaskFailure(task.id, 'the picture is gone')

    def say_nothing(self, task):
        return None

    @property
    def _control(self):
        return self.label_config.control('Choices', 'Image')


def choice(label, name='choice'):
    """A choice in Label Studio's format."""
    return {'from_name': name, 'to_name': 'image', 'type': 'choices', 'value': {'choices': [label]}}


@pytest.fixture
def scripted(project, folders, inline_plugins):  # noqa: F811
    """The scripted backend, enabled on the project."""
    from label_studio.ml_host.models import ProjectBackend

    ScriptedBackend.asked.clear()
    inline_plugins('scripted', ScriptedBackend)
    return ProjectBackend.objects.create(project=project, backend='scripted', enabled=True)


@pytest.fixture
def label(project, owner):
    """Adds tasks whose right answers are cats and dogs in turns, with an annotation each."""
    from label_studio.ml_host.upstream import Annotation, Task

    def add(count, **fields):
        start = Task.objects.filter(project=project).count()
        truths = [('cat', 'dog')[number % 2] for number in range(start, start + count)]
        tasks = Task.objects.bulk_create(
            Task(project=project, data={'image': f'/{number}.png', 'truth': truth})
            for number, truth in enumerate(truths, start)
        )
        made_by = {'project': project, 'completed_by': owner, **fields}
        Annotation.objects.bulk_create(
            Annotation(task=task, result=[choice(truth)], **made_by) for task, truth in zip(tasks, truths, strict=True)
        )
        return tasks

    return add


@pytest.fixture
def train(project, scripted, queue, work, owner):  # noqa: F811
    """Trains a version that is right on a share of the tasks, as a worker does; gives the run."""
    from label_studio.ml_host.training import runs

    def burst(right=1.0, mode='well', rule='automatic', backend='scripted'):
        scripted.refresh_from_db()
        scripted.params = {'right': right, 'mode': mode}
        scripted.learning = {'rule': rule}
        scripted.save()
        run = runs.request_training(project, backend, owner)
        work()
        run.refresh_from_db()
        return run

    return burst


@pytest.fixture
def version(project):
    """Gives a version by its number."""
    from label_studio.ml_host.models import ModelVersion

    return lambda number: ModelVersion.objects.get(project=project, number=number)
