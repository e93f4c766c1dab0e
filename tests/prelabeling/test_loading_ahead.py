"""Files of the next tasks are loaded while the model is busy, within a limit of bytes."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.loader import LoadingFiles
from label_studio.ml_host.upstream import Task as StoredTask
from ml_plugins import Task
from ml_plugins.exceptions import TaskDataError
from tests.inline_plugins import ConstantBackend
from tests.prelabeling.drive import finish


class Files:
    """A slow store of files that counts."""

    def __init__(self, seconds=0.0, size=10):
        self.project = SimpleNamespace(pk=1)
        self.seconds = seconds
        self.size = size
        self.reads = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def prepare(self, data):
        pass

    def read(self, task, key):
        with self.lock:
            self.reads.append((task.id, key))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.seconds)
        with self.lock:
            self.at_once -= 1
        if 'missing' in task.data[key]:
            raise TaskDataError(task.id, key, 'is gone')
        return b'x' * self.size

    def path(self, task, key):
        self.reads.append((task.id, key))
        return Path('/somewhere') / str(task.id)


def tasks_of(files, count, first=1):
    return [
        Task(number, {'image': f'/data/upload/1/{number}.png', 'text': 'words', 'video': 's3://b/v'}, 1, {}, files)
        for number in range(first, first + count)
    ]


@pytest.fixture
def loading():
    made = []

    def wrap(inner, threads=4, limit=10**6):
        made.append(LoadingFiles(inner, threads, limit))
        return made[-1]

    yield wrap
    for files in made:
        files.close()


def settled(files):
    for load in list(files._loads.values()):
        load.exception(timeout=5)


def test_what_the_model_reads_is_loaded_ahead_in_parallel_and_read_once(loading):
    inner = Files(seconds=0.05)
    files = loading(inner)
    first, *others = tasks_of(files, 13)
    files.load_ahead([first])
    assert inner.reads == []
    assert first.bytes('image') == b'x' * 10
    files.load_ahead(others)
    settled(files)
    assert inner.most_at_once == 4
    assert [task.bytes('image') for task in others] == [b'x' * 10] * 12
    assert others[0].bytes('image') == b'x' * 10
    assert sorted(inner.reads) == [(number, 'image') for number in range(1, 14)]


def test_fields_that_the_model_does_not_read_are_left_alone(loading):
    inner = Files()
    files = loading(inner)
    first, *others = tasks_of(files, 4)
    assert first.text('text') == 'words'
    first.bytes('image')
    files.load_ahead(others)
    settled(files)
    assert {key for _, key in inner.reads} == {'image'}


def test_memory_is_bounded_and_given_back(loading):
    inner = Files(size=100)
    files = loading(inner, threads=1, limit=250)
    first, *others = tasks_of(files, 21)
    first.bytes('image')
    files.load_ahead(others)
    settled(files)
    assert files.held_bytes == 300
    assert [len(task.bytes('image')) for task in others] == [100] * 20
    files.free(others)
    assert files.held_bytes == 0
    more = tasks_of(files, 2, first=100)
    files.load_ahead(more)
    settled(files)
    assert files.held_bytes == 200


def test_a_file_that_cannot_be_read_fails_where_it_is_asked_for(loading):
    files = loading(Files())
    first = tasks_of(files, 1)[0]
    first.bytes('image')
    broken = Task(2, {'image': '/data/upload/1/missing.png'}, 1, {}, files)
    files.load_ahead([broken])
    settled(files)
    with pytest.raises(TaskDataError, match='is gone'):
        broken.bytes('image')
    files.free([broken])


def test_paths_are_fetched_ahead_too(loading):
    inner = Files()
    files = loading(inner)
    first, second = tasks_of(files, 2)
    assert first.path('image') == Path('/somewhere/1')
    files.load_ahead([second])
    settled(files)
    assert second.path('image') == Path('/somewhere/2')
    assert inner.reads == [(1, 'image'), (2, 'image')]


@pytest.mark.django_db(transaction=True)
def test_a_run_reads_uploads_ahead(project, owner, inline_plugins, settings, tmp_path, monkeypatch):
    from label_studio.ml_host.task_data.resolver import HostTaskFiles

    readers = []
    real = HostTaskFiles.read
    monkeypatch.setattr(
        HostTaskFiles,
        'read',
        lambda self, task, key: readers.append(threading.current_thread().name) or real(self, task, key),
    )

    class Reads(ConstantBackend):
        def predict(self, tasks, interaction=None):
            assert {task.bytes('image') for task in tasks} == {b'picture'}
            return super().predict(tasks, interaction)

    settings.MEDIA_ROOT = str(tmp_path)
    folder = tmp_path / 'upload' / str(project.pk)
    folder.mkdir(parents=True)
    for number in range(200):
        (folder / f'{number}.png').write_bytes(b'picture')
    inline_plugins('reads', Reads)
    services.enable(project, 'reads', owner)
    StoredTask.objects.bulk_create(
        StoredTask(project=project, data={'image': f'/data/upload/{project.pk}/{number}.png'}) for number in range(200)
    )
    run = finish(runs.start(project, 'reads'))
    assert runs.progress(run).done == 200, run.failures.first()
    assert len(readers) == 200
    assert sum(name.startswith('prelabel-loader') for name in readers) > 100
