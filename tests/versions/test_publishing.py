"""Publishing is all or nothing, and damage is noticed."""

import pytest
from django.db import OperationalError, connection

from label_studio.ml_host.models import BackendEvent, ModelVersion
from label_studio.ml_host.quality.examination import Examination, Score
from label_studio.ml_host.training import lifecycle, reading
from label_studio.ml_host.versions import publishing, service
from label_studio.ml_host.versions.errors import VersionStateError
from label_studio.ml_host.versions.files import version_files
from label_studio.ml_host.versions.publishing import publish
from label_studio.ml_host.versions.service import put_in_service
from label_studio.ml_host.versions.shelving import Shelving
from label_studio.ml_host.versions.work import remove_stale_work
from ml_plugins.exceptions import ModelVersionError, TrainingCancelledError, TrainingError
from ml_plugins.types import VersionFiles

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_published_version_is_whole_and_announced(run, left, queue, counting):
    listener = queue.connection.pubsub(ignore_subscribe_messages=True)
    listener.subscribe('ml:version')
    listener.get_message(timeout=1)
    version = publish(run, left, {'accuracy': 1.0}, 3)
    files = version_files(version)
    assert (files.path / 'deep' / 'weights.txt').read_bytes() == b'abc'
    assert (files.number, files.metrics, version.size, version.trained_on) == (1, {'accuracy': 1.0}, 14, 3)
    message = listener.get_message(timeout=2)
    assert message['data'] == f'{{"project": {run.project_id}, "backend": "counting"}}'.encode()
    run.refresh_from_db()
    assert (run.state, run.version) == ('finished', version)


@pytest.mark.parametrize('name', ['deep/weights.txt', 'manifest.json'])
def test_a_flipped_byte_is_named(run, left, name):
    version = publish(run, left, {}, 1)
    path = version_files(version).path / name
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelVersionError, match=f'counting-v1 is damaged: its file {name}'):
        version_files(version)
    with pytest.raises(ModelVersionError):
        put_in_service(version)


def test_a_missing_file_and_a_changed_manifest_are_named(run, left, folders):
    version = publish(run, left, {}, 1)
    folder = folders / 'version' / version.directory
    (folder / 'files' / 'deep' / 'weights.txt').unlink()
    with pytest.raises(ModelVersionError, match=r'its file deep/weights\.txt cannot be read'):
        version_files(version)
    (folder / 'manifest.json').write_text('{}')
    with pytest.raises(ModelVersionError, match=r'manifest\.json was changed'):
        version_files(version)


def test_nothing_is_left_when_the_database_refuses(run, left, folders, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError('no')

    monkeypatch.setattr(service, 'serve', refuse)
    with pytest.raises(RuntimeError):
        publish(run, left, {}, 1)
    assert not ModelVersion.objects.exists()
    assert list((folders / 'version' / 'counting' / str(run.project_id)).iterdir()) == []
    assert list((folders / 'work').iterdir()) == []


def test_a_run_that_was_taken_away_publishes_nothing(run, left, folders):
    lifecycle.hand_back(run)
    with pytest.raises(TrainingCancelledError):
        publish(run, left, {}, 1)
    assert not ModelVersion.objects.exists()


def test_a_link_is_refused(run, left):
    (left / 'link').symlink_to('/etc/passwd')
    with pytest.raises(TrainingError, match='"link"'):
        publish(run, left, {}, 1)


def test_a_folder_left_by_a_crash_is_never_written_over(run, left, folders):
    orphan = folders / 'version' / 'counting' / str(run.project_id) / 'v1'
    orphan.mkdir(parents=True)
    assert publish(run, left, {}, 1).number == 2
    assert orphan.exists()


def test_an_older_version_goes_back_into_service(ask, run, left, queue, tmp_path, counting, owner):
    first = publish(run, left, {}, 1)
    again = tmp_path / 'again'
    again.mkdir()
    second = publish(lifecycle.claim(ask().pk), again, {}, 1)
    counting.refresh_from_db()
    assert counting.in_service == second
    put_in_service(first, owner)
    counting.refresh_from_db()
    assert counting.in_service == first


def test_stale_work_is_removed_and_running_work_is_not(run, folders):
    for name in (f'run-{run.pk}-abc', 'run-999999-abc', 'publish-999999-abc', 'other'):
        (folders / 'work' / name).mkdir(parents=True)
    assert remove_stale_work() == 2
    assert {path.name for path in (folders / 'work').iterdir()} == {f'run-{run.pk}-abc', 'other'}


def test_what_the_examination_says_is_kept(run, left, counting, project):
    score = Score(0.8, 0.7, 0.9, 40)
    judged = Examination(serve=False, reason='0.80 against 0.91 of version 1', score=score, answers=b'packed')
    run.trigger = '10 new labels'
    version = publish(run, left, {}, 1, examination=judged)
    version.refresh_from_db()
    assert (version.state, version.reason, version.trigger) == ('candidate', judged.reason, '10 new labels')
    assert (version.score, version.score_low, version.score_high, version.scored_on) == (0.8, 0.7, 0.9, 40)
    assert bytes(version.evaluation.content) == b'packed'
    assert version.label_config == project.label_config
    counting.refresh_from_db()
    assert (counting.in_service, version.served_at) == (None, None)
    event = BackendEvent.objects.get(action='held_back')
    assert event.detail == {'version': 1, 'reason': judged.reason}


def test_a_version_that_failed_is_never_served(run, left, counting):
    version = publish(run, left, {}, 1, examination=Examination(serve=True, reason='It cannot load.', failed=True))
    counting.refresh_from_db()
    assert (version.state, counting.in_service) == ('failed', None)
    with pytest.raises(VersionStateError, match='failed its examination: It cannot load'):
        put_in_service(version)


def test_what_it_started_from_is_known(publish):
    first = publish()
    second = publish(previous=VersionFiles(1, None))
    second.refresh_from_db()
    assert second.previous == first


def test_a_database_that_loses_the_answer_of_a_commit_loses_no_version(run, left, monkeypatch):
    record = Shelving._record
    tries = []

    def lose_the_answer(self, make):
        version = record(self, make)
        tries.append(version)
        connection.close()
        raise OperationalError('server closed the connection unexpectedly')

    monkeypatch.setattr(Shelving, '_record', lose_the_answer)
    version = publishing.publish(run, left, {}, 1)
    assert (len(tries), ModelVersion.objects.get()) == (1, version)
    assert (version_files(version).path / 'deep' / 'weights.txt').read_bytes() == b'abc'


def test_a_database_that_is_away_for_a_moment_is_waited_for(run, left, monkeypatch, folders):
    monkeypatch.setattr(reading, 'PAUSES', (0.0, 0.0, 0.0))
    serve, tries = service.serve, []

    def away_twice(*arguments):
        tries.append(1)
        if len(tries) < 3:
            connection.close()
            raise OperationalError('server closed the connection unexpectedly')
        serve(*arguments)

    monkeypatch.setattr(service, 'serve', away_twice)
    version = publishing.publish(run, left, {}, 1)
    assert (len(tries), version.number, ModelVersion.objects.count()) == (3, 1, 1)
    assert [path.name for path in (folders / 'version' / 'counting' / str(run.project_id)).iterdir()] == ['v1']


def test_a_deleted_number_is_never_used_again(publish, counting):
    publish()
    second = publish()
    service.put_in_service(ModelVersion.objects.get(number=1))
    service.delete(second)
    assert publish().number == 3
