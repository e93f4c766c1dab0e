"""A project with labeled tasks, a Redis of its own, and a backend that learns to count."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ml_plugins import MLBackend, Param, Serves
from ml_plugins.exceptions import TrainingError


class CountingBackend(MLBackend):
    """Counts labels; `mode` says how `fit` behaves."""

    serves = (Serves('Choices', 'Image'),)
    params = (Param('mode', 'well'), Param('folder', ''))
    needs_training = True

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]

    def fit(self, dataset, run):
        return getattr(self, f'fit_{self.param_values["mode"]}')(dataset, run)

    def _save(self, run, counts):
        (run.directory / 'sub').mkdir()
        (run.directory / 'sub' / 'counts.json').write_text(json.dumps(counts))
        (run.directory / 'weights.bin').write_bytes(b'w' * 1000)

    def fit_well(self, dataset, run):
        counts: dict[str, int] = {}
        total = len(dataset)
        for done, example in enumerate(dataset, 1):
            for label in example.annotation.labels('choice'):
                counts[label] = counts.get(label, 0) + 1
            run.progress(done, total, loss=1 / done)
        print('printed by the plugin')
        run.log('said by the plugin')
        run.skip(next(iter(dataset)).task.id, 'it is blurred')
        self._save(run, counts)
        return {'accuracy': 0.5, 'broken': float('nan')}

    def fit_raises(self, dataset, run):
        (run.directory / 'half').write_text('half')
        raise ZeroDivisionError('no good')

    def fit_refuses(self, dataset, run):
        raise TrainingError('Only one class is labeled: label a second one.')

    def fit_waits(self, dataset, run):
        self._tell(run)
        while True:
            run.progress(1, 2)
            time.sleep(0.05)

    def fit_ignores(self, dataset, run):
        self._tell(run)
        while True:
            time.sleep(0.05)

    def fit_killed(self, dataset, run):
        os.kill(os.getpid(), signal.SIGKILL)

    def fit_killed_once(self, dataset, run):
        marker = run.cache_directory / 'killed'
        if marker.exists():
            return self.fit_well(dataset, run)
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def fit_fills(self, dataset, run):
        with (run.directory / 'big').open('wb') as stream:
            while True:
                stream.write(b'x' * 65536)

    def fit_exits(self, dataset, run):
        raise SystemExit(3)

    def fit_rubbish(self, dataset, run):
        return 7

    def _tell(self, run):
        (Path(self.param_values['folder']) / 'started').touch()


@pytest.fixture(scope='session')
def redis_socket(tmp_path_factory):
    from label_studio.ml_host.launcher import redis

    server = redis.start(tmp_path_factory.mktemp('redis'))
    yield server.socket
    server.stop()


@pytest.fixture
def queue(redis_socket, monkeypatch):
    """The training queue on a Redis of the tests, empty; the worker's other queue is there too."""
    import django_rq
    from django_rq.settings import QUEUES

    for name in ('ml_train', 'ml_predict', 'ml_analysis'):
        monkeypatch.setitem(QUEUES, name, {'UNIX_SOCKET_PATH': redis_socket, 'DB': 0, 'DEFAULT_TIMEOUT': 60})
    queue = django_rq.get_queue('ml_train')
    queue.connection.flushall()
    return queue


@pytest.fixture
def folders(tmp_path, settings):
    """Folders of versions, work, cache and logs of this test."""
    root = tmp_path / 'ml'
    settings.ML_DATA_DIR = root
    for name in ('VERSION', 'WORK', 'CACHE', 'LOG'):
        setattr(settings, f'ML_{name}_DIR', root / name.lower())
    return root


@pytest.fixture
def label(project, owner):
    """Adds tasks to the project, with an annotation each."""
    from label_studio.ml_host.upstream import Annotation, Task

    def add(count, choice='cat', **fields):
        tasks = [Task.objects.create(project=project, data={'image': f'/{number}.png'}) for number in range(count)]
        for task in tasks:
            value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [choice]}}
            Annotation.objects.create(task=task, project=project, completed_by=owner, result=[value], **fields)
        return tasks

    return add


@pytest.fixture
def counting(project, folders, inline_plugins):
    """The counting backend, enabled on the project."""
    from label_studio.ml_host.models import ProjectBackend

    inline_plugins('counting', CountingBackend)
    return ProjectBackend.objects.create(project=project, backend='counting', enabled=True)


@pytest.fixture
def ask(project, counting, owner, tmp_path):
    """Asks for a training in a mode."""
    from label_studio.ml_host.training import runs

    def request(mode='well'):
        counting.params = {'mode': mode, 'folder': str(tmp_path)}
        counting.save(update_fields=['params'])
        return runs.request_training(project, 'counting', owner)

    return request


@pytest.fixture
def work(queue):
    """Works off the queue in this process."""
    from rq import SimpleWorker

    def burst():
        SimpleWorker([queue], connection=queue.connection).work(burst=True)

    return burst


@pytest.fixture
def classifier(project, owner, folders, queue):
    """The image classifier, enabled on the project; gives a function that adds labeled pictures."""
    import base64

    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.upstream import Annotation, Task
    from tests.e2e.pictures import picture

    services.enable(project, 'image_classifier', owner)
    made = []

    def add(count):
        for _ in range(count):
            place = len(made)
            name, colour = (('cat', 'red'), ('dog', 'blue'))[place % 2]
            address = f'data:image/png;base64,{base64.b64encode(picture(colour, place)).decode()}'
            task = Task.objects.create(project=project, data={'image': address})
            value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [name]}}
            Annotation.objects.create(task=task, project=project, completed_by=owner, result=[value])
            made.append(task)
        return made[-count:]

    return add
