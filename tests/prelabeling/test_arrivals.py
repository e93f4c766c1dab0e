"""Tasks that are imported or synced are pre-labeled by themselves when the project says so."""

import json
import threading
import time

import pytest
from django.db import connection, transaction

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ModelVersion, PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling import arrivals, conductor, lease, runs
from label_studio.ml_host.upstream import LocalFilesImportStorage, Prediction, Task
from tests.inline_plugins import ConstantBackend
from tests.prelabeling.drive import eventually, make_tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(project, owner, constant, monkeypatch):
    monkeypatch.setattr(arrivals, 'QUIET_SECONDS', 0.3)
    monkeypatch.setattr(conductor, 'TICK_SECONDS', 0.1)
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return ProjectBackend.objects.get()


@pytest.fixture
def server():
    conductor.start()
    yield
    conductor.stop()
    lease.open_again()


def imported(api, project, count):
    data = [{'image': f'new {number}'} for number in range(count)]
    response = api.post(f'/api/projects/{project.pk}/import', data, format='json')
    assert response.status_code == 201, response.content


def predicted():
    return Prediction.objects.filter(model_version='constant-v0').count()


def test_imported_tasks_are_predicted_and_older_ones_are_not(row, project, api, owner, server):
    old = make_tasks(project, 5)
    runs.set_prelabel_new(row, True, owner)
    imported(api, project, 7)
    assert eventually(lambda: predicted() == 7)
    assert not Prediction.objects.filter(task_id__in=old).exists()
    run = PrelabelRun.objects.get()
    assert (run.total, run.created_by) == (7, None)
    imported(api, project, 3)
    assert eventually(lambda: predicted() == 10)
    assert PrelabelRun.objects.count() == 2
    assert list(BackendEvent.objects.filter(action='prelabel_new').values_list('user', 'detail')) == [
        (owner.pk, {'on': True})
    ]


def test_synced_tasks_are_predicted(row, project, api, settings, tmp_path, owner, server):
    folder = tmp_path / 'shared' / 'pets'
    folder.mkdir(parents=True)
    for number in range(4):
        (folder / f'{number}.json').write_text(json.dumps({'image': f'synced {number}'}))
    settings.LOCAL_FILES_SERVING_ENABLED = True
    settings.LOCAL_FILES_DOCUMENT_ROOT = str(tmp_path / 'shared')
    runs.set_prelabel_new(row, True, owner)
    storage = LocalFilesImportStorage.objects.create(project=project, path=str(folder), use_blob_urls=False)
    assert api.post(f'/api/storages/localfiles/{storage.pk}/sync').status_code == 200
    assert Task.objects.count() == 4
    assert eventually(lambda: predicted() == 4)


def test_an_import_in_steps_makes_one_run(row, project, api, owner, server, monkeypatch):
    monkeypatch.setattr(arrivals, 'QUIET_SECONDS', 1.0)
    runs.set_prelabel_new(row, True, owner)
    for _ in range(4):
        imported(api, project, 2)
    assert eventually(lambda: predicted() == 8)
    assert PrelabelRun.objects.count() == 1


def test_an_import_without_end_does_not_wait_for_ever(row, project, owner, monkeypatch):
    monkeypatch.setattr(arrivals, 'LONGEST_SECONDS', 0.4)
    monkeypatch.setattr(arrivals, 'QUIET_SECONDS', 10.0)
    runs.set_prelabel_new(row, True, owner)
    watcher = arrivals.Arrivals()
    end = time.monotonic() + 5
    while not PrelabelRun.objects.exists():
        make_tasks(project, 1)
        watcher.look()
        assert time.monotonic() < end
    row.refresh_from_db()
    assert row.prelabel_seen > 0


def test_nothing_is_predicted_when_the_project_does_not_say_so(row, project, api, owner, server):
    imported(api, project, 3)
    runs.set_prelabel_new(row, True, owner)
    runs.set_prelabel_new(row, False, owner)
    imported(api, project, 3)
    time.sleep(1.0)
    assert not PrelabelRun.objects.exists()


def test_one_of_several_processes_starts_the_run(row, project, owner):
    runs.set_prelabel_new(row, True, owner)
    make_tasks(project, 3)
    watchers = [arrivals.Arrivals() for _ in range(4)]
    for watcher in watchers:
        watcher.look()
    time.sleep(0.4)

    def look(watcher):
        watcher.look()
        connection.close()

    threads = [threading.Thread(target=look, args=(watcher,)) for watcher in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert PrelabelRun.objects.count() == 1


def test_tasks_wait_for_the_first_version(project, owner, inline_plugins, monkeypatch):
    class Untrained(ConstantBackend):
        needs_training = True

    monkeypatch.setattr(arrivals, 'QUIET_SECONDS', 0.0)
    inline_plugins('untrained', Untrained)
    row = services.enable(project, 'untrained', owner)
    runs.set_prelabel_new(row, True, owner)
    make_tasks(project, 3)
    watcher = arrivals.Arrivals()
    watcher.look()
    assert not PrelabelRun.objects.exists()
    row.in_service = ModelVersion.objects.create(project=project, backend='untrained', number=1, directory='none')
    row.save()
    watcher.look()
    run = PrelabelRun.objects.get()
    assert (run.total, run.label) == (3, 'untrained-v1')


@pytest.mark.skipif(connection.vendor != 'postgresql', reason='SQLite has one writer at a time')
def test_tasks_of_a_long_import_with_lower_numbers_are_not_missed(row, project, owner):
    runs.set_prelabel_new(row, True, owner)
    inserted, may_commit = threading.Event(), threading.Event()

    def import_slowly():
        with transaction.atomic():
            make_tasks(project, 3)
            inserted.set()
            may_commit.wait(20)
        connection.close()

    thread = threading.Thread(target=import_slowly)
    thread.start()
    assert inserted.wait(20)
    make_tasks(project, 2)
    watcher = arrivals.Arrivals()
    watcher.look()
    time.sleep(0.4)
    for _ in range(3):
        watcher.look()
    assert not PrelabelRun.objects.exists()
    may_commit.set()
    thread.join()
    assert eventually(lambda: watcher.look() or PrelabelRun.objects.exists())
    assert PrelabelRun.objects.get().total == 5
