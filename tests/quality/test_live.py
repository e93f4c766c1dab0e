"""How far people agree with what they began with: counted once, a clear drop said once, rolled back where wanted."""

from datetime import timedelta

import pytest
from django.utils import timezone

from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend
from label_studio.ml_host.quality import live
from label_studio.ml_host.versions import service
from ml_plugins.exceptions import ModelVersionError

from .conftest import choice

pytestmark = pytest.mark.django_db

_Action = BackendEvent.Action


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(live, 'SETTLE_SECONDS', 0.0)


@pytest.fixture
def row(project, constant):
    """The enabled backend with two versions, the second in service since a minute."""
    row = ProjectBackend.objects.create(project=project, backend='constant', enabled=True)
    now = timezone.now()
    for number, minutes in ((1, 10), (2, 1)):
        served_at = now - timedelta(minutes=minutes)
        row.in_service = ModelVersion.objects.create(
            project=project, backend='constant', number=number, directory=str(number), digest='', served_at=served_at
        )
    row.save()
    return row


@pytest.fixture
def submit(project, owner):
    """Submits annotations that began with a version's "cat", of which some were changed."""
    from label_studio.ml_host.upstream import Annotation, Task

    def add(number, accepted, changed=0, **fields):
        label = f'constant-v{number}' if isinstance(number, int) else number
        prediction = {'model_version': label, 'result': [choice('cat')]} if label else {}
        labels = ['cat'] * accepted + ['dog'] * changed
        tasks = Task.objects.bulk_create(Task(project=project, data={'image': '/1.png'}) for _ in labels)
        return Annotation.objects.bulk_create(
            Annotation(
                **{'task': task, 'project': project, 'completed_by': owner, 'prediction': prediction}
                | {'result': [choice(name)]}
                | fields
            )
            for task, name in zip(tasks, labels, strict=True)
        )

    return add


def look(row):
    live.look(ProjectBackend.objects.get(pk=row.pk))


def counts(row, number):
    version = ModelVersion.objects.get(project=row.project, number=number)
    return version.live_count, version.live_sum


def events(row, action):
    return list(BackendEvent.objects.filter(project=row.project, backend='constant', action=action))


def test_each_annotation_counts_once_for_its_version(row, submit):
    submit(2, 3, 1)
    submit(1, 0, 2)
    last = submit(2, 1)[-1]
    look(row)
    look(row)
    assert (counts(row, 2), counts(row, 1)) == ((5, 4.0), (2, 0.0))
    submit(2, 1)
    look(row)
    assert counts(row, 2) == (6, 5.0)
    row.refresh_from_db()
    assert row.agreement_seen == last.pk + 1


def test_what_began_with_nothing_of_this_backend_does_not_count(row, submit):
    submit('', 2)
    submit('other-v2', 2)
    submit('constant-v9', 2)
    submit('constant-v22', 2)
    submit('constant', 2)
    submit(2, 2, was_cancelled=True)
    last = submit(2, 1, result=[])[-1]
    look(row)
    # Taking everything away is no agreement.
    assert (counts(row, 2), counts(row, 1)) == ((1, 0.0), (0, 0.0))
    row.refresh_from_db()
    assert row.agreement_seen == last.pk


def test_prediction_that_was_shown_as_old_counts_for_its_version(row, submit):
    submit('constant-v1 (old version)', 2)
    look(row)
    assert counts(row, 1) == (2, 2.0)


def test_damaged_copies_are_passed_by(row, submit):
    submit(2, 1, prediction={'model_version': 'constant-v2', 'result': 'cat'})
    submit(2, 1, prediction={'model_version': 'constant-v2', 'result': [None]})
    submit(2, 1, prediction=['constant-v2'])
    submit(2, 1, prediction={'model_version': 7})
    submit(2, 1)
    look(row)
    assert counts(row, 2) == (3, 1.0)


def test_annotation_that_was_just_stored_waits(row, submit, monkeypatch):
    monkeypatch.setattr(live, 'SETTLE_SECONDS', 60.0)
    submit(2, 1)
    look(row)
    assert counts(row, 2) == (0, 0.0)
    monkeypatch.setattr(live, 'SETTLE_SECONDS', 0.0)
    look(row)
    assert counts(row, 2) == (1, 1.0)


def test_a_long_history_is_worked_off_in_several_looks(row, submit, monkeypatch):
    monkeypatch.setattr(live, 'PAGE', 4)
    monkeypatch.setattr(live, 'MOST_PAGES', 2)
    submit(2, 11)
    seen = []
    for _ in range(3):
        look(row)
        seen.append(counts(row, 2)[0])
    assert seen == [8, 11, 11]


def test_two_processes_count_nothing_twice(row, submit):
    submit(2, 3)
    stale = ProjectBackend.objects.get(pk=row.pk)
    look(row)
    live.look(stale)
    assert counts(row, 2) == (3, 3.0)


def test_clear_drop_is_reported_once(row, submit):
    submit(1, 95, 5)
    look(row)
    submit(2, 10, 10)
    look(row)
    [event] = events(row, _Action.AGREEMENT)
    assert (event.detail['version'], event.detail['before'], event.user) == (2, 1, None)
    assert event.detail['reason'] == (
        'What people submit agrees with the predictions of version 2 to 0.50 (20 annotations), and with version 1 it '
        'was 0.95 (100 annotations), p < 0.001.'
    )
    submit(2, 10, 50)
    look(row)
    assert len(events(row, _Action.AGREEMENT)) == 1
    row.refresh_from_db()
    # It is only said: nobody asked for more.
    assert row.in_service.number == 2
    assert not events(row, _Action.ROLLED_BACK)


def test_held_out_score_stands_in_for_few_annotations(row, submit):
    ModelVersion.objects.filter(number=1).update(score=0.95, scored_on=100)
    submit(1, 3)
    submit(2, 10, 10)
    look(row)
    [event] = events(row, _Action.AGREEMENT)
    assert 'with version 1 it was 0.95 (100 held-out tasks)' in event.detail['reason']


@pytest.mark.parametrize(
    ('before', 'now'),
    [((95, 5), (10, 9)), ((95, 5), (18, 2)), ((5, 5), (0, 40)), ((0, 0), (0, 40)), ((50, 50), (40, 0))],
    ids=['too few', 'not clear', 'too few before', 'nothing before', 'a rise'],
)
def test_no_clear_drop(row, submit, before, now):
    submit(1, *before)
    look(row)
    submit(2, *now)
    look(row)
    assert not events(row, _Action.AGREEMENT)


def test_only_the_version_in_service_is_judged(row, submit):
    submit(2, 95, 5)
    look(row)
    ProjectBackend.objects.filter(pk=row.pk).update(in_service=ModelVersion.objects.get(number=1))
    submit(2, 0, 200)
    look(row)
    assert not events(row, _Action.AGREEMENT)


@pytest.fixture
def whole(monkeypatch):
    """Files of versions are not what these tests are about."""
    monkeypatch.setattr(service, 'version_files', lambda version: None)


@pytest.fixture
def rolls_back(row):
    row.learning = {'roll_back': True}
    row.save()
    return row


def test_drop_rolls_back_where_that_is_wanted(rolls_back, submit, whole):
    submit(1, 95, 5)
    look(rolls_back)
    submit(2, 10, 10)
    look(rolls_back)
    rolls_back.refresh_from_db()
    assert rolls_back.in_service.number == 1
    [event] = events(rolls_back, _Action.ROLLED_BACK)
    assert (event.detail['version'], event.detail['left']) == (1, 2)
    assert event.detail['reason'].startswith('What people submit agrees with the predictions of version 2 to 0.50 ')
    # What people said of the version that came back starts afresh.
    assert counts(rolls_back, 1)[0] == 0
    submit(1, 30, 30)
    look(rolls_back)
    rolls_back.refresh_from_db()
    assert rolls_back.in_service.number == 1
    assert len(events(rolls_back, _Action.AGREEMENT)) == 1


def test_version_before_that_is_damaged_is_not_rolled_back_to(rolls_back, submit, monkeypatch):
    def damaged(version):
        raise ModelVersionError('a file is gone')

    monkeypatch.setattr(service, 'version_files', damaged)
    submit(1, 95, 5)
    look(rolls_back)
    submit(2, 10, 10)
    look(rolls_back)
    rolls_back.refresh_from_db()
    assert rolls_back.in_service.number == 2
    assert len(events(rolls_back, _Action.AGREEMENT)) == 1
    assert not events(rolls_back, _Action.ROLLED_BACK)


def test_annotation_from_the_editor_counts(project, owner, constant, api):
    """The whole way: open a task, submit, look."""
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.upstream import Task

    row = services.enable(project, 'constant', owner)
    version = ModelVersion.objects.create(
        project=project, backend='constant', number=1, directory='1', digest='', served_at=timezone.now()
    )
    ProjectBackend.objects.filter(pk=row.pk).update(in_service=version)
    for label in ('cat', 'cat', 'dog'):
        task = Task.objects.create(project=project, data={'image': '/1.png'})
        task.predictions.create(
            project=project, model=row.connection, model_version=version.label, result=[choice('cat')]
        )
        answer = api.post(f'/api/tasks/{task.pk}/annotations/', {'result': [choice(label)]}, format='json')
        assert answer.status_code == 201, answer.content
    look(row)
    assert counts(row, 1) == (3, 2.0)
