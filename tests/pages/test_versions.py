"""Versions on the ML backends page: what is shown of them, what the buttons do, and what is said first."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from label_studio.ml_host.api import actions
from label_studio.ml_host.models import BackendEvent, DatasetSnapshot, ModelVersion, ProjectBackend, TrainingRun
from ml_plugins.exceptions import ModelVersionError

pytestmark = pytest.mark.django_db

DASH = '\N{EN DASH}'


@pytest.fixture
def row(project, learner):
    return ProjectBackend.objects.create(project=project, backend='learner', enabled=True)


@pytest.fixture
def make(project, row):
    """Makes the next version."""

    def _make(number: int, serve: bool = False, **values) -> ModelVersion:
        files = {'directory': f'learner/{project.pk}/v{number}', 'digest': '0' * 64}
        version = ModelVersion.objects.create(project=project, backend='learner', number=number, **files, **values)
        if serve:
            ModelVersion.objects.filter(pk=version.pk).update(served_at=timezone.now())
            row.in_service = version
            row.save()
        return version

    return _make


@pytest.fixture
def shown(browser, project):
    """The page's text, without what has no meaning."""

    def _shown() -> str:
        response = browser.get(f'/projects/{project.pk}/ml-backends/')
        assert response.status_code == 200
        return re.sub(r'\s+', ' ', response.content.decode())

    return _shown


def measured(score: float, low: float, high: float, tasks: int = 50) -> dict:
    return {'score': score, 'score_low': low, 'score_high': high, 'scored_on': tasks}


def test_a_version_is_shown_with_all_that_is_known(shown, make, project, owner):
    snapshot = DatasetSnapshot.objects.create(
        project=project, backend='learner', digest='abc' * 20, content=b'', labeled=80, held_out=16, annotations=95
    )
    before = make(1, state='archived')
    version = make(
        2,
        serve=True,
        **measured(0.912, 0.85, 0.96),
        size=2048,
        trained_on=1234,
        trigger='10 new labels',
        reason='0.91 against <0.88> of version 1',
        live_count=40,
        live_sum=36.0,
        metrics={'loss': 0.123456},
        params={'epochs': 7},
        snapshot=snapshot,
        previous=before,
    )
    text = shown()
    for part in (
        f'<b>0.91</b> <span class="ml-dim">0.85{DASH}0.96</span>',
        '10 new labels',
        '1,234 tasks',
        '0.91 against &lt;0.88&gt; of version 1',
        '0.90 of 40',
        'loss 0.1235',
        'epochs 7',
        '95 annotations of 80 tasks, 16 of them held out',
        'version 1',
        '50 held-out tasks',
    ):
        assert part in text, part
    assert f'data-version="{version.number}" data-state="In service"' in text
    assert 'data-version="1" data-state="Archived"' in text


def test_what_is_offered_goes_with_the_state(shown, make):
    make(1, state='archived')
    make(2, state='failed', reason='It cannot predict: no engine')
    make(3, serve=True)
    make(4)
    parts = {part[:1]: part for part in shown().split('data-version="')[1:]}
    offered = {number: sorted(re.findall(r'data-do="([^"]+)"', part)) for number, part in parts.items()}
    assert offered == {
        '1': ['delete-version', 'unarchive'],
        '2': ['delete-version'],
        '3': [],
        '4': ['archive', 'delete-version', 'put-in-service'],
    }
    assert 'Compare with version 3' in parts['4'] and 'Compare with version 3' in parts['1']
    assert 'Compare with' not in parts['2'] and 'Compare with' not in parts['3']
    assert 'It cannot predict: no engine' in parts['2']
    assert all('Download' in part for part in parts.values())


def test_buttons_call_the_actions(press, make, owner, monkeypatch):
    version = make(1)
    called = []
    for name in ('put_in_service', 'archive_version', 'unarchive_version', 'delete_version', 'repeat_version'):
        monkeypatch.setattr(actions, name, lambda found, user, name=name: called.append((name, found, user)))
    for path in ('put-in-service', 'archive', 'unarchive', 'delete', 'repeat'):
        assert press(f'learner/versions/1/{path}/').status_code == 200
    names = ['put_in_service', 'archive_version', 'unarchive_version', 'delete_version', 'repeat_version']
    assert called == [(name, version, owner) for name in names]
    assert press('learner/versions/9/archive/').status_code == 404


def test_a_refusal_stands_on_the_card(press, make):
    make(1, serve=True)
    text = press('learner/versions/1/archive/').content.decode()
    assert 'ml-box-error' in text and ModelVersion.objects.get().state == 'candidate'


def test_an_upload_goes_to_the_action(press, make, owner, project, monkeypatch):
    taken = []

    def upload(found, name, file, user):
        taken.append((found, name, file.read(), user))
        raise ModelVersionError('version.json: there is none in "a.zip"')

    monkeypatch.setattr(actions, 'upload_version', upload)
    text = press('learner/versions/upload/', {'file': SimpleUploadedFile('a.zip', b'PK')}).content.decode()
    assert taken == [(project, 'learner', b'PK', owner)]
    assert 'version.json: there is none in &quot;a.zip&quot;' in text
    assert 'Choose the file of a version first' in press('learner/versions/upload/').content.decode()


def test_only_the_newest_are_shown_until_all_are_asked_for(browser, shown, make, project):
    for number in range(1, 26):
        make(number)
    text = shown()
    assert text.count('data-version=') == 20 and 'Show all 25' in text
    every = browser.get(f'/projects/{project.pk}/ml-backends/learner/versions/').content.decode()
    assert every.count('data-version=') == 25 and 'Show all' not in every


def test_the_curve_needs_two_measured_versions(shown, make):
    make(1, **measured(0.5, 0.3, 0.7), trained_on=20)
    make(2, trained_on=30)
    assert 'data-mark' not in shown()
    make(3, serve=True, **measured(0.8, 0.7, 0.9), trained_on=60)
    text = shown()
    assert re.findall(r'ml-mark-(\w+)" data-mark="(\d)"', text) == [('other', '1'), ('service', '3')]


@pytest.mark.parametrize('language', ['de', 'en'])
def test_places_in_drawings_are_numbers_in_any_language(browser, project, make, language):
    make(1, **measured(0.5, 0.31, 0.7), trained_on=21)
    make(2, serve=True, **measured(0.8, 0.71, 0.9), trained_on=60)
    text = browser.get(f'/projects/{project.pk}/ml-backends/', headers={'accept-language': language}).content.decode()
    places = re.findall(r'\b(?:x|y|x1|x2|y1|y2|cx|cy|width)="([^"]*)"', text)
    assert len(places) > 20 and all(re.fullmatch(r'-?\d+(\.\d+)?', place) for place in places)


def test_a_version_that_was_held_back_is_said_first(shown, make):
    make(1, serve=True)
    make(2, reason='0.61 against 0.93 of version 1')
    text = shown()
    assert 'data-notice="held_back"' in text
    assert '<b>Version 2 was not put in service.</b> 0.61 against 0.93 of version 1' in text
    assert '?version=1&amp;version=2" data-external="true">Compare</a>' in text
    # Somebody has decided since.
    make(3, serve=True)
    assert 'data-notice' not in shown()


def test_what_somebody_asked_for_waits_without_a_word(shown, make, project):
    first = make(1, serve=True)
    make(2, trigger='uploaded', reason='Uploaded by owner@example.org')
    assert 'data-notice' not in shown()
    again = make(3, reason='It was trained again.')
    run = TrainingRun.objects.create(project=project, backend='learner', state='finished', version=again)
    assert 'data-notice' in shown()
    TrainingRun.objects.filter(pk=run.pk).update(repeats=first, trigger='version 1 again')
    assert 'data-notice' not in shown()


def test_what_led_to_a_training_is_said(shown, make, project, owner):
    run = TrainingRun.objects.create(project=project, backend='learner', state='finished', trigger='10 new labels')
    assert 'began by itself: 10 new labels' in shown()
    TrainingRun.objects.filter(pk=run.pk).update(created_by=owner, trigger='version 1 again')
    text = shown()
    assert 'version 1 again' in text and 'started by owner@example.org' in text and 'by itself:' not in text


def test_a_version_that_cannot_be_used_is_said_first(shown, make):
    make(1, serve=True)
    make(2, state='failed', reason='It cannot be loaded: no engine')
    text = shown()
    assert '<b>Version 2 cannot be used.</b> It cannot be loaded: no engine' in text
    assert 'data-notice="failed"' in text


@pytest.mark.parametrize(
    ('action', 'detail', 'expected'),
    [
        ('agreement', {'version': 2, 'before': 1}, 'People agree less with version 2.'),
        ('rolled_back', {'version': 2, 'left': 1}, 'Rolled back to version 2.'),
    ],
)
def test_what_happened_by_itself_is_said_until_another_version_serves(shown, make, project, action, detail, expected):
    make(1)
    make(2, serve=True)
    event = {'project': project, 'backend': 'learner', 'action': action}
    BackendEvent.objects.create(**event, detail={**detail, 'reason': '0.61 instead of 0.93'})
    text = shown()
    assert f'data-notice="{action}"' in text and f'<b>{expected}</b> 0.61 instead of 0.93' in text
    assert 'Put version 1 in service' in text and '?version=2&amp;version=1"' in text
    ModelVersion.objects.filter(number=1).update(state='archived')
    assert (f'<b>{expected}</b>' in shown()) == (action == 'agreement')
    ModelVersion.objects.filter(number=1).delete()
    text = shown()
    assert f'<b>{expected}</b>' in text and 'Put version 1 in service' not in text
    make(3, serve=True)
    assert 'data-notice' not in shown()
