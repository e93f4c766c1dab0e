"""Publishing is all or nothing, and damage is noticed."""

import pytest

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.training import lifecycle, versions
from ml_plugins.exceptions import ModelVersionError, TrainingCancelledError, TrainingError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(ask, queue):
    return lifecycle.claim(ask().pk)


@pytest.fixture
def left(tmp_path):
    """What a fit might leave, with a name that the manifest has too."""
    folder = tmp_path / 'left'
    (folder / 'deep').mkdir(parents=True)
    (folder / 'manifest.json').write_text('mine')
    (folder / 'deep' / 'weights').write_bytes(b'abc')
    return folder


def test_a_published_version_is_whole_and_announced(run, left, queue, counting):
    listener = queue.connection.pubsub(ignore_subscribe_messages=True)
    listener.subscribe('ml:version')
    listener.get_message(timeout=1)
    version = versions.publish(run, left, {'accuracy': 1.0}, 3)
    files = versions.version_files(version)
    assert (files.path / 'deep' / 'weights').read_bytes() == b'abc'
    assert (files.number, files.metrics, version.size, version.trained_on) == (1, {'accuracy': 1.0}, 7, 3)
    message = listener.get_message(timeout=2)
    assert message['data'] == f'{{"project": {run.project_id}, "backend": "counting"}}'.encode()
    run.refresh_from_db()
    assert (run.state, run.version) == ('finished', version)


@pytest.mark.parametrize('name', ['deep/weights', 'manifest.json'])
def test_a_flipped_byte_is_named(run, left, name):
    version = versions.publish(run, left, {}, 1)
    path = versions.version_files(version).path / name
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelVersionError, match=f'counting-v1 is damaged: its file {name}'):
        versions.version_files(version)
    with pytest.raises(ModelVersionError):
        versions.put_in_service(version)


def test_a_missing_file_and_a_changed_manifest_are_named(run, left, folders):
    version = versions.publish(run, left, {}, 1)
    folder = folders / 'version' / version.directory
    (folder / 'files' / 'deep' / 'weights').unlink()
    with pytest.raises(ModelVersionError, match='its file deep/weights cannot be read'):
        versions.version_files(version)
    (folder / 'manifest.json').write_text('{}')
    with pytest.raises(ModelVersionError, match=r'manifest\.json was changed'):
        versions.version_files(version)


def test_nothing_is_left_when_the_database_refuses(run, left, folders, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError('no')

    monkeypatch.setattr(versions, '_serve', refuse)
    with pytest.raises(RuntimeError):
        versions.publish(run, left, {}, 1)
    assert not ModelVersion.objects.exists()
    assert list((folders / 'version' / 'counting' / str(run.project_id)).iterdir()) == []
    assert list((folders / 'work').iterdir()) == []


def test_a_run_that_was_taken_away_publishes_nothing(run, left, folders):
    lifecycle.hand_back(run)
    with pytest.raises(TrainingCancelledError):
        versions.publish(run, left, {}, 1)
    assert not ModelVersion.objects.exists()


def test_a_link_is_refused(run, left):
    (left / 'link').symlink_to('/etc/passwd')
    with pytest.raises(TrainingError, match='"link"'):
        versions.publish(run, left, {}, 1)


def test_a_folder_left_by_a_crash_is_never_written_over(run, left, folders):
    orphan = folders / 'version' / 'counting' / str(run.project_id) / 'v1'
    orphan.mkdir(parents=True)
    assert versions.publish(run, left, {}, 1).number == 2
    assert orphan.exists()


def test_an_older_version_goes_back_into_service(ask, run, left, queue, tmp_path, counting, owner):
    first = versions.publish(run, left, {}, 1)
    again = tmp_path / 'again'
    again.mkdir()
    second = versions.publish(lifecycle.claim(ask().pk), again, {}, 1)
    counting.refresh_from_db()
    assert counting.in_service == second
    versions.put_in_service(first, owner)
    counting.refresh_from_db()
    assert counting.in_service == first


def test_stale_work_is_removed_and_running_work_is_not(run, folders):
    for name in (f'run-{run.pk}-abc', 'run-999999-abc', 'publish-999999-abc', 'other'):
        (folders / 'work' / name).mkdir(parents=True)
    assert versions.remove_stale_work() == 2
    assert {path.name for path in (folders / 'work').iterdir()} == {f'run-{run.pk}-abc', 'other'}
