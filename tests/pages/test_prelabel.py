"""Pre-labeling on the ML backends page: what can be chosen, what is shown of runs, and what the buttons do."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import (
    BackendEvent,
    ModelVersion,
    PrelabelFailure,
    PrelabelRun,
    PrelabelShard,
    ProjectBackend,
)
from label_studio.ml_host.pages.prelabel import PrelabelView
from label_studio.ml_host.prelabeling.progress import Progress
from label_studio.ml_host.upstream import Organization, Task, User
from tests.inline_plugins import ConstantBackend

pytestmark = pytest.mark.django_db


class NeedsTraining(ConstantBackend):
    needs_training = True

    def fit(self, dataset, run):
        return {}


@pytest.fixture
def row(project, owner, constant):
    for number in range(4):
        Task.objects.create(project=project, data={'image': f'https://example.org/{number}.jpg'})
    services.enable(project, 'constant', owner)
    return ProjectBackend.objects.get()


@pytest.fixture
def part(browser, project):
    """The part of the card that the page asks for each second."""

    def _part() -> str:
        response = browser.get(f'/projects/{project.pk}/ml-backends/constant/prelabel/')
        assert response.status_code == 200
        return response.content.decode()

    return _part


def make_run(project, state='running', total=200, counts=(40, 8, 2), **values) -> PrelabelRun:
    run = PrelabelRun.objects.create(
        project=project, backend='constant', label='constant-v0', state=state, total=total, **values
    )
    done, skipped, failed = counts
    PrelabelShard.objects.create(run=run, first_id=1, last_id=total, done=done, skipped=skipped, failed=failed)
    return run


def fail(run, number: int) -> None:
    PrelabelFailure.objects.bulk_create(
        PrelabelFailure(run=run, task_id=task, reason=f'no <file> {task}') for task in range(1, number + 1)
    )


def test_the_card_offers_versions_and_what_to_skip(press, browser, project, row):
    row.in_service = ModelVersion.objects.create(
        project=project, backend='constant', number=2, directory='x', digest='x'
    )
    row.save()
    ModelVersion.objects.create(project=project, backend='constant', number=1, directory='x', digest='x')
    text = browser.get(f'/projects/{project.pk}/ml-backends/').content.decode()
    options = re.findall(r'<option value="([^"]*)">([^<]*)</option>', text.partition('ml-choices')[2])
    assert options[:3] == [
        ('constant', 'Version 2 (in service)'),
        ('constant:1', 'Version 1'),
        ('nothing', 'Predict all'),
    ]
    assert 'aria-checked="false" aria-labelledby="ml-new-constant"' in text


def test_start_with_choices(press, project, owner, row):
    version = ModelVersion.objects.create(project=project, backend='constant', number=3, directory='x', digest='x')
    text = press('constant/prelabel/start/', {'model': 'constant:3', 'skip': 'both'}).content.decode()
    run = PrelabelRun.objects.get()
    assert (run.version, run.skip_predicted, run.skip_labeled, run.created_by) == (version, True, True, owner)
    assert f'data-prelabel="{run.pk}" data-state="queued"' in text
    assert 'hx-trigger="every 1s"' in text


def test_a_wrong_choice_stands_on_the_card(press, row):
    text = press('constant/prelabel/start/', {'skip': 'some'}).content.decode()
    assert 'role="alert">skip: &quot;some&quot; is not a choice' in text
    assert not PrelabelRun.objects.exists()


def test_an_untrained_model_cannot_be_started(browser, project, owner, inline_plugins):
    inline_plugins('learner', NeedsTraining)
    services.enable(project, 'learner', owner)
    text = browser.get(f'/projects/{project.pk}/ml-backends/').content.decode()
    assert 'It has no version yet. Train it first.' in text
    assert 'data-start' not in text


def test_progress_is_followed_while_a_run_is_under_way(part, project, row):
    run = make_run(project, started_at=timezone.now() - timedelta(seconds=10))
    text = part()
    assert 'hx-trigger="every 1s"' in text
    assert '<progress max="100" value="25"' in text
    assert re.search(r'>40 done, 8 skipped, 2 failed of 200 tasks · [45]\.\d tasks/s · 0:3\d left<', text)
    assert 'data-do="prelabel-cancel"' in text and 'prelabel-resume' not in text
    PrelabelRun.objects.filter(pk=run.pk).update(state='finished', ended_at=timezone.now())
    text = part()
    assert 'hx-trigger' not in text
    assert '>Finished</span>' in text and 'value="100"' in text


def test_a_note_and_a_reason_are_shown(part, project, row):
    run = make_run(project, note='Waiting for the <model>')
    make_run(project, 'queued')
    text = part()
    assert 'Waiting for the &lt;model&gt;' in text
    assert 'It waits for the run before it.' in text
    PrelabelRun.objects.filter(state='queued').delete()
    PrelabelRun.objects.filter(pk=run.pk).update(state='failed', error='The disk is full', ended_at=timezone.now())
    assert 'role="alert">The disk is full' in part()


def test_failed_tasks_are_listed_by_page_with_links(browser, part, project, row):
    run = make_run(project, 'finished', counts=(40, 8, 60), ended_at=timezone.now())
    fail(run, 60)
    text = part()
    assert '60 tasks failed' in text
    assert f'/projects/{project.pk}/data?task=1" data-external="true">Task 1</a>: no &lt;file&gt; 1' in text
    assert text.count('<li><a ') == 50 and 'Show more of 60' in text
    more = re.search(r'hx-get="([^"]+page=2)"', text).group(1)
    rest = browser.get(more).content.decode()
    assert rest.count('<li><a ') == 10 and 'Show more' not in rest


def test_cancel_resume_and_retry(press, project, owner, row):
    run = make_run(project)
    fail(run, 2)
    assert 'Stopping…' in press(f'constant/prelabel/{run.pk}/cancel/').content.decode()
    PrelabelRun.objects.update(state='cancelled', ended_at=timezone.now())
    text = press(f'constant/prelabel/{run.pk}/retry/').content.decode()
    again = PrelabelRun.objects.exclude(pk=run.pk).get()
    assert (again.total, again.one_by_one) == (2, True)
    assert f'data-prelabel="{again.pk}" data-state="queued"' in text
    again.delete()
    text = press(f'constant/prelabel/{run.pk}/resume/').content.decode()
    assert f'data-prelabel="{run.pk}" data-state="queued"' in text
    events = BackendEvent.objects.order_by('id').values_list('action', 'user')
    assert list(events)[-3:] == [('prelabel_stop', owner.pk), ('prelabel', owner.pk), ('prelabel', owner.pk)]
    assert 'only a stopped run can be resumed' in press(f'constant/prelabel/{run.pk}/resume/').content.decode()


def test_earlier_runs_can_be_resumed_and_retried(part, project, row):
    make_run(project, 'cancelled', ended_at=timezone.now())
    make_run(project, 'finished', ended_at=timezone.now())
    make_run(project, 'finished', counts=(200, 0, 0), ended_at=timezone.now())
    earlier = part().partition('Earlier runs')[2]
    assert earlier.count('<tr>') == 3
    assert earlier.count('data-do="prelabel-resume"') == earlier.count('data-do="prelabel-retry"') == 1
    assert '40 done, 8 skipped, 2 failed of 200 tasks' in earlier


def test_new_tasks_are_switched(press, project, owner, row):
    assert (
        'aria-checked="true" aria-labelledby="ml-new-constant"'
        in press('constant/prelabel/new/', {'on': 'on'}).content.decode()
    )
    row.refresh_from_db()
    assert row.prelabel_new
    press('constant/prelabel/new/', {'on': 'off'})
    row.refresh_from_db()
    assert not row.prelabel_new
    events = BackendEvent.objects.filter(action='prelabel_new').order_by('id')
    assert [(event.user, event.detail) for event in events] == [(owner, {'on': True}), (owner, {'on': False})]


def test_buttons_need_the_token_and_the_project(browser, sign_in, project, row):
    run = make_run(project)
    base = f'/projects/{project.pk}/ml-backends/constant/prelabel/'
    for path in ('start/', 'new/', f'{run.pk}/cancel/', f'{run.pk}/resume/', f'{run.pk}/retry/'):
        assert browser.post(base + path).status_code == 403, path
        assert browser.get(base + path).status_code == 405, path
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    other = sign_in(stranger)
    for path in ('', f'{run.pk}/failures/'):
        assert other.get(base + path).status_code in (403, 404), path


@pytest.mark.parametrize(
    ('rate', 'left', 'expected'),
    [
        (0.0, None, ('', '')),
        (0.05, 600.2, ('3.0 tasks/min', '10:01')),
        (4.26, 3723.0, ('4.3 tasks/s', '1:02:03')),
        (12345.6, 0.2, ('12,346 tasks/s', '0:01')),
        (0.0001, 1e9, ('0.0 tasks/min', '')),
    ],
)
def test_speed_and_time_left_for_people(rate, left, expected):
    progress = Progress(10, 1, 0, 0, 10, rate, left, 'running', '', '')
    view = PrelabelView(PrelabelRun(total=10), progress)
    assert (view.speed, view.time_left) == expected
