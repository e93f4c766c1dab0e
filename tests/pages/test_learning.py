"""Learning while labeling on the ML backends page: the switch, the settings, and how far the labels are."""

import pytest

from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.pages import learning
from label_studio.ml_host.pages.learning import plan_of
from label_studio.ml_host.upstream import Annotation, Task

pytestmark = pytest.mark.django_db

FORM = {
    'after_labels': '4',
    'growth_percent': '12.5',
    'at': '02:30',
    'every_minutes': '0.5',
    'annotators': 'newest',
    'rule': 'better',
    'roll_back': 'on',
    'keep': '3',
}


@pytest.fixture
def row(press, project, learner):
    press('learner/enable/')
    return ProjectBackend.objects.get()


@pytest.fixture
def part(browser, project):
    """Ask for the part that is asked for every two seconds."""

    def _part(seen: str):
        return browser.get(f'/projects/{project.pk}/ml-backends/learner/learning/?seen={seen}')

    return _part


def label(project, owner, count: int) -> None:
    for _ in range(count):
        task = Task.objects.create(project=project, data={'image': 'https://example.org/1.jpg'})
        region = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}
        Annotation.objects.create(task=task, project=project, completed_by=owner, result=[region])


def seen_in(text: str) -> str:
    return text.partition('?seen=')[2].partition('"')[0]


def test_the_switch(press, row, owner):
    text = press('learner/learning/switch/', {'on': 'on'}).content.decode()
    assert 'data-learns="on"' in text and 'It trains after 10 new labels, at most every minute.' in text
    row.refresh_from_db()
    assert row.learns
    text = press('learner/learning/switch/', {'on': 'off'}).content.decode()
    assert 'data-learns="off"' in text and 'every 2s' not in text
    row.refresh_from_db()
    assert not row.learns
    events = BackendEvent.objects.filter(action='learning').order_by('id')
    assert [event.user for event in events] == [owner, owner]


def test_settings_are_saved_as_they_are_meant(press, row):
    text = press('learner/learning/settings/', FORM).content.decode()
    assert 'ml-box-error' not in text
    row.refresh_from_db()
    assert not row.learns
    assert LearningSettings.of(row.learning) == LearningSettings(
        after_labels=4,
        growth=0.125,
        at='02:30',
        every_minutes=0.5,
        rule='better',
        annotators='newest',
        refresh=False,
        roll_back=True,
        keep=3,
    )
    for part in ('name="growth_percent" value="12.5"', 'name="at" value="02:30"', 'value="better" selected'):
        assert part in text, part


@pytest.mark.parametrize(
    ('name', 'value', 'expected'),
    [
        ('growth_percent', 'much', 'learning.growth: &#x27;much&#x27; must be a number'),
        ('after_labels', '-1', 'learning.after_labels: &#x27;-1&#x27; must be a whole number'),
        ('rule', 'always', 'learning.rule: &quot;always&quot; must be one of'),
        ('at', '25:00', 'learning.at: &quot;25:00&quot; must be a time of day'),
    ],
)
def test_a_wrong_setting_changes_nothing_and_is_named(press, row, name, value, expected):
    assert expected in press('learner/learning/settings/', {**FORM, name: value}).content.decode()
    row.refresh_from_db()
    assert row.learning == {}


def test_a_form_with_a_field_missing_is_refused(press, row):
    form = {name: value for name, value in FORM.items() if name != 'keep'}
    assert 'learning.keep' in press('learner/learning/settings/', form).content.decode()


def test_the_labels_are_followed(press, part, row, project, owner):
    seen = seen_in(press('learner/learning/switch/', {'on': 'on'}).content.decode())
    label(project, owner, 4)
    response = part(seen)
    text = response.content.decode()
    assert 'HX-Retarget' not in response
    assert '4 of 10 new labels so far' in text and 'value="40"' in text and seen_in(text) == seen


def test_many_labels_are_not_counted_at_every_look(press, part, row, project, owner, monkeypatch):
    seen = seen_in(press('learner/learning/switch/', {'on': 'on'}).content.decode())
    monkeypatch.setattr(learning, '_counted', {})
    monkeypatch.setattr(learning, 'QUICK_SECONDS', 0.0)
    monkeypatch.setattr(learning, 'COUNT_PAUSE', 1e6)
    assert '0 of 10 new labels so far' in part(seen).content.decode()
    label(project, owner, 1)
    assert '0 of 10 new labels so far' in part(seen).content.decode()
    monkeypatch.setattr(learning, '_counted', {})
    assert '1 of 10 new labels so far' in part(seen).content.decode()


@pytest.mark.parametrize('what', ['run', 'version', 'event', 'in_service', 'off'])
def test_the_card_is_drawn_anew_when_something_happens(press, part, row, project, what):
    version = ModelVersion.objects.create(project=project, backend='learner', number=1, directory='x', digest='x')
    seen = seen_in(press('learner/learning/switch/', {'on': 'on'}).content.decode())
    assert 'HX-Retarget' not in part(seen)
    own = {'project': project, 'backend': 'learner'}
    if what == 'run':
        TrainingRun.objects.create(**own, state='running')
    elif what == 'version':
        ModelVersion.objects.create(**own, number=2, directory='y', digest='y')
    elif what == 'event':
        BackendEvent.objects.create(**own, action='agreement')
    elif what == 'in_service':
        ProjectBackend.objects.update(in_service=version)
    else:
        ProjectBackend.objects.update(learns=False)
    response = part(seen)
    assert response['HX-Retarget'] == '#ml-card-learner'
    assert 'id="ml-card-learner"' in response.content.decode()


def test_a_model_that_is_not_trained_has_no_such_section(press, constant):
    assert 'Learn while labeling' not in press('constant/enable/').content.decode()


def test_a_backend_that_fits_no_more_says_why_it_is_off(press, browser, api, project, row):
    ModelVersion.objects.create(project=project, backend='learner', number=1, directory='x', digest='x')
    config = '<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>'
    assert api.patch(f'/api/projects/{project.pk}/', {'label_config': config}, format='json').status_code == 200
    text = browser.get(f'/projects/{project.pk}/ml-backends/').content.decode()
    assert 'data-notice="switched_off"' in text and '<b>It was switched off.</b> The label config was changed' in text
    assert '1 trained version kept' in text and 'data-version="1"' in text
    assert 'Put in service' not in text and 'Upload a version' not in text


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'after_labels': 1}, 'It trains after 1 new label, at most every minute.'),
        (
            {'growth': 0.2, 'every_minutes': 5},
            'It trains after 10 new labels or when the labels grew by 20 %, at most every 5 minutes.',
        ),
        (
            {'after_labels': 0, 'at': '02:30', 'every_minutes': 0},
            'It trains every day at 02:30 if anything changed.',
        ),
        ({'after_labels': 0}, 'Nothing lets it train by itself: say below after how many labels, or when.'),
    ],
)
def test_the_plan_as_a_sentence(values, expected):
    assert plan_of(LearningSettings(**values)) == expected
