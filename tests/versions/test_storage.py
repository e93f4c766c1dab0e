"""Versions in a Django storage: published there, fetched elsewhere, checked, and forgotten when room is short."""

import os
import shutil
import time
import traceback
from pathlib import Path

import pytest
from django.db import connections

from label_studio.ml_host.versions import local, remote, service
from label_studio.ml_host.versions.errors import VersionStorageError
from label_studio.ml_host.versions.files import version_files
from label_studio.ml_host.versions.manifest import mark_copy
from label_studio.ml_host.versions.storage_setting import version_storage
from label_studio.ml_host.versions.work import remove_stale_work

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def use(settings, tmp_path):
    """Stores versions with a class of storage in the folder `bucket`."""

    def choose(backend='django.core.files.storage.FileSystemStorage', **options):
        options = options or {'location': str(tmp_path / 'bucket')}
        settings.STORAGES = {**settings.STORAGES, 'ml_versions': {'BACKEND': backend, 'OPTIONS': options}}
        settings.ML_VERSION_STORAGE = 'ml_versions'
        return tmp_path / 'bucket'

    return choose


@pytest.fixture
def bucket(use):
    return use()


def here(folders, version) -> Path:
    return folders / 'version' / version.directory


def stored(bucket) -> list[str]:
    return sorted(path.relative_to(bucket).as_posix() for path in bucket.rglob('*') if path.is_file())


def test_another_machine_fetches_what_it_lacks(bucket, publish, folders):
    version = publish()
    assert version.remote.startswith(f'ml-versions/counting/{version.project_id}/')
    names = ('files/config.json', 'files/deep/weights.txt', 'manifest.json')
    assert stored(bucket) == [f'{version.remote}/{name}' for name in names]
    shutil.rmtree(folders / 'version')
    files = version_files(version)
    assert (files.path / 'deep' / 'weights.txt').read_text() == 'abc'
    shutil.rmtree(bucket)
    assert version_files(version) == files


def test_a_damaged_copy_is_fetched_again(bucket, publish, folders):
    version = publish()
    weights = here(folders, version) / 'files' / 'deep' / 'weights.txt'
    weights.write_text('abX')
    assert version_files(version).path == here(folders, version) / 'files'
    assert weights.read_text() == 'abc'
    assert [path.name for path in here(folders, version).parent.iterdir() if path.is_dir()] == ['v1']


@pytest.mark.parametrize('name', ['files/deep/weights.txt', 'manifest.json'])
def test_what_was_changed_in_the_storage_is_named(bucket, publish, folders, name):
    version = publish()
    shutil.rmtree(folders / 'version')
    path = bucket / version.remote / name
    path.write_bytes(path.read_bytes()[:-1] + b'X')
    with pytest.raises(VersionStorageError, match=rf'counting-v1: .*{name} in the version storage was changed'):
        version_files(version)
    assert not here(folders, version).exists()


def test_what_is_missing_in_the_storage_is_named_at_once(bucket, publish, folders):
    version = publish()
    shutil.rmtree(folders / 'version')
    (bucket / version.remote / 'files' / 'config.json').unlink()
    with pytest.raises(VersionStorageError, match=r'config\.json cannot be fetched: it is not in the version storage'):
        version_files(version)


def test_a_process_without_the_setting_says_so(bucket, publish, folders, settings):
    version = publish()
    shutil.rmtree(folders / 'version')
    settings.ML_VERSION_STORAGE = ''
    with pytest.raises(VersionStorageError, match='set ML_VERSION_STORAGE as it is set where'):
        version_files(version)


def test_many_processes_fetch_once(use, publish, folders):
    bucket = use('tests.versions.storages.SlowStorage')
    version = publish()
    shutil.rmtree(folders / 'version')
    # Forked processes must not share a connection.
    connections.close_all()
    children = [_fork(lambda: version_files(version)) for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    read = Path(f'{bucket}.log').read_text().splitlines()
    assert len(read) == len(set(read)) == 3


def _fork(act) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def test_a_storage_that_breaks_off_is_tried_again(use, publish, folders, monkeypatch):
    from tests.versions.storages import FailingStorage

    monkeypatch.setattr(remote, 'PAUSES', (0.0, 0.0))
    bucket = use('tests.versions.storages.FailingStorage')
    monkeypatch.setattr(FailingStorage, 'left', 2)
    version = publish()
    assert (FailingStorage.left, len(stored(bucket))) == (0, 3)
    shutil.rmtree(folders / 'version')
    monkeypatch.setattr(FailingStorage, 'left', 2)
    assert (version_files(version).path / 'config.json').read_text() == '{"size": 3}'


def test_a_storage_that_stays_away_fails_the_publication_and_leaves_nothing(use, publish, folders, monkeypatch):
    from tests.versions.storages import FailingStorage

    monkeypatch.setattr(remote, 'PAUSES', (0.0,))
    bucket = use('tests.versions.storages.FailingStorage')
    monkeypatch.setattr(FailingStorage, 'left', 2)
    with pytest.raises(VersionStorageError, match=r'config\.json cannot be stored: ConnectionResetError'):
        publish()
    assert stored(bucket) == []
    assert not list((folders / 'work').iterdir())


def test_deleting_removes_it_from_the_storage(bucket, publish):
    first = publish()
    second = publish()
    service.delete(first)
    assert {name.split('/files')[0].removesuffix('/manifest.json') for name in stored(bucket)} == {second.remote}


def test_what_a_killed_publication_had_stored_is_removed(bucket, publish, folders):
    version = publish()
    lost = f'ml-versions/counting/{version.project_id}/lost'
    shutil.copytree(bucket / version.remote, bucket / lost)
    for name, key in (('publish-999999-a', lost), ('publish-999999-b', version.remote)):
        (folders / 'work' / name).mkdir(parents=True)
        mark_copy(folders / 'work' / name, key)
    assert remove_stale_work() == 2
    assert not (bucket / lost).exists()
    assert (bucket / version.remote / 'manifest.json').exists()


def test_copies_used_longest_ago_leave_when_room_is_short(bucket, publish, folders, settings):
    made = [publish() for _ in range(4)]
    settings.ML_VERSION_CACHE_BYTES = 2 * made[0].size
    assert local.forget_least_used() == 0, 'all were used lately'
    for age, version in enumerate(reversed(made), 2):
        old = time.time() - age * 3600
        os.utime(here(folders, version) / 'manifest.json', (old, old))
    # The newest is in service; of the others there is room for one.
    assert local.forget_least_used() == 2
    assert [here(folders, version).exists() for version in made] == [False, False, True, True]
    assert version_files(made[0]).path.exists()


def test_what_is_only_here_is_never_forgotten(publish, folders, settings):
    version = publish()
    settings.ML_VERSION_CACHE_BYTES = 0
    old = time.time() - 1e6
    os.utime(here(folders, version) / 'manifest.json', (old, old))
    assert local.forget_least_used() == 0
    assert here(folders, version).exists()


def test_a_broken_off_fetch_is_cleared_away(bucket, publish, folders):
    version = publish()
    half = here(folders, version).with_name('.fetch-v9-abc')
    half.mkdir()
    mark_copy(half, 'ml-versions/counting/1/gone')
    assert local.forget_least_used() == 0
    old = time.time() - local.BROKEN_OFF - 60
    os.utime(half, (old, old))
    assert local.forget_least_used() == 1
    assert not half.exists()


def test_s3(use, publish, folders, monkeypatch):
    import boto3
    from moto import mock_s3

    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(name, 'testing')
    with mock_s3():
        client = boto3.client('s3', region_name='us-east-1')
        client.create_bucket(Bucket='models')
        use('storages.backends.s3boto3.S3Boto3Storage', bucket_name='models', region_name='us-east-1')
        version = publish()
        keys = [item['Key'] for item in client.list_objects_v2(Bucket='models')['Contents']]
        assert sorted(keys)[-1] == f'{version.remote}/manifest.json'
        shutil.rmtree(folders / 'version')
        assert (version_files(version).path / 'deep' / 'weights.txt').read_text() == 'abc'
        publish()
        service.delete(version)
        assert len(client.list_objects_v2(Bucket='models')['Contents']) == 3


def test_the_setting_is_checked():
    known = {'default': {}}
    assert version_storage('', '', known) == ('', {})
    assert version_storage('default', '', known) == ('default', {})
    own = {'BACKEND': 'a.Storage', 'OPTIONS': {'bucket_name': 'models'}}
    assert version_storage('a.Storage', '{"bucket_name": "models"}', known) == ('ml_versions', {'ml_versions': own})
    with pytest.raises(ValueError, match='ML_VERSION_STORAGE=\'s3\': must be empty, "default"'):
        version_storage('s3', '', known)
    with pytest.raises(ValueError, match='is not JSON'):
        version_storage('a.Storage', '{', known)
    with pytest.raises(ValueError, match='must be a JSON object'):
        version_storage('a.Storage', '[1]', known)
    with pytest.raises(ValueError, match='OPTIONS is for a storage class'):
        version_storage('default', '{}', known)


def test_a_storage_that_cannot_be_set_up_names_the_setting(use, publish):
    use('nowhere.Storage')
    with pytest.raises(VersionStorageError, match='The storage of ML_VERSION_STORAGE cannot be set up'):
        publish()


def test_the_storage_of_uploads_serves_as_well(publish, folders, settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / 'media')
    settings.ML_VERSION_STORAGE = 'default'
    version = publish()
    assert (tmp_path / 'media' / version.remote / 'manifest.json').exists()
    shutil.rmtree(folders / 'version')
    assert version_files(version).number == 1
