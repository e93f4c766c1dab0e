"""In service, put aside, removed, and what is kept."""

import pytest

from label_studio.ml_host.models import BackendEvent, ModelVersion, PrelabelRun
from label_studio.ml_host.versions import service
from label_studio.ml_host.versions.errors import VersionStateError

pytestmark = pytest.mark.django_db(transaction=True)


def numbers():
    return sorted(ModelVersion.objects.values_list('number', flat=True))


def folder_names(folders):
    return sorted(path.name for path in (folders / 'version').glob('*/*/*'))


def test_going_back_counts_agreement_afresh(publish, counting, owner):
    first, second = publish(), publish()
    ModelVersion.objects.filter(pk=first.pk).update(live_count=7, live_sum=3.5)
    served_at = ModelVersion.objects.get(pk=first.pk).served_at
    first.refresh_from_db()
    service.put_in_service(first, owner)
    counting.refresh_from_db()
    first.refresh_from_db()
    assert counting.in_service == first
    assert (first.live_count, first.live_sum) == (0, 0.0)
    assert first.served_at > served_at
    assert first.reason == f'Put in service by {owner}.'
    again = BackendEvent.objects.filter(action='in_service').count()
    service.put_in_service(first, owner)
    assert BackendEvent.objects.filter(action='in_service').count() == again
    assert ModelVersion.objects.get(pk=second.pk).state == 'candidate'


def test_what_was_put_aside_does_not_serve_until_it_is_taken_out(publish, counting, owner):
    first, second = publish(), publish()
    service.archive(first, owner)
    with pytest.raises(VersionStateError, match='Version 1 is archived: take it out of the archive first'):
        service.put_in_service(first)
    with pytest.raises(VersionStateError, match='Version 2 is in service and cannot be archived: put another'):
        service.archive(second)
    with pytest.raises(VersionStateError, match='Version 1 is archived; only one that is candidate'):
        service.archive(first)
    service.unarchive(first, owner)
    service.put_in_service(first)
    counting.refresh_from_db()
    assert counting.in_service == first
    events = BackendEvent.objects.filter(user=owner, detail={'version': 1}, action__contains='archived')
    assert list(events.values_list('action', flat=True)) == ['unarchived', 'archived']


def test_deleting_takes_the_files_along(publish, folders, owner, project):
    first, second = publish(), publish()
    with pytest.raises(VersionStateError, match='Version 2 is in service and cannot be deleted'):
        service.delete(second, owner)
    waiting = PrelabelRun.objects.create(project=project, backend='counting', version=first, label=first.label)
    with pytest.raises(VersionStateError, match='a pre-labeling predicts with it'):
        service.delete(first, owner)
    PrelabelRun.objects.filter(pk=waiting.pk).update(state='finished')
    service.delete(first, owner)
    assert (numbers(), folder_names(folders)) == ([2], ['v2'])
    event = BackendEvent.objects.get(action='deleted')
    assert (event.user, event.detail) == (owner, {'version': 1})


def test_old_versions_leave_with_every_training(publish, counting, folders):
    counting.learning = {'keep': 2}
    counting.save(update_fields=['learning'])
    for _ in range(5):
        publish()
    # In service, and two more.
    assert (numbers(), folder_names(folders)) == ([3, 4, 5], ['v3', 'v4', 'v5'])
    event = BackendEvent.objects.filter(action='deleted').last()
    assert event.detail == {'version': 1, 'reason': 'Only the newest 2 are kept.'}


def test_what_is_needed_stays_however_old(publish, counting, project):
    made = [publish() for _ in range(6)]
    service.put_in_service(made[0])
    service.put_in_service(made[1])
    service.archive(made[2])
    PrelabelRun.objects.create(project=project, backend='counting', version=made[3], label=made[3].label)
    assert service.retain(project.pk, 'counting', 1) == 1
    # 2 is in service, 1 was before it, 3 was put aside, a pre-labeling waits with 4, and 6 is the newest.
    assert numbers() == [1, 2, 3, 4, 6]


def test_a_version_that_was_deleted_meanwhile_is_said(publish, monkeypatch):
    first = publish()
    publish()
    monkeypatch.setattr(service, 'version_files', lambda version: ModelVersion.objects.filter(pk=version.pk).delete())
    with pytest.raises(VersionStateError, match='Version 1 was deleted meanwhile'):
        service.put_in_service(first)


def test_files_go_with_their_project(publish, folders, project):
    publish()
    publish()
    project.delete()
    assert folder_names(folders) == []
