"""The ML backends page: what it shows and what its buttons do."""

from types import SimpleNamespace

import pytest
from django.utils import timezone

from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import BackendEvent, FailureRecord, ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.upstream import Organization, Project, User
from ml_plugins.discovery import Candidate
from ml_plugins.failures import PluginFailure, Stage, failure_log
from ml_plugins.registry import Plugin, registry

pytestmark = pytest.mark.django_db


def text_of(browser, project) -> str:
    response = browser.get(f'/projects/{project.pk}/ml-backends/')
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_shows_plugins_inside_upstreams_shell(browser, project, learner):
    text = text_of(browser, project)
    assert '<div class="app-wrapper">' in text and 'ml_host/menu.js' in text
    assert 'id="ml-card-learner"' in text and 'inline 1.0' in text
    assert 'aria-checked="false" aria-label="Enable learner"' in text


def test_a_broken_plugin_shows_stage_error_and_traceback(browser, project, learner):
    registry._plugins['wrecked'] = Plugin(Candidate('wrecked', 'wrecked.apps:Nope', 'wrecked', '0.1'))
    failure_log.record(PluginFailure('wrecked', Stage.IMPORT, 'ImportError: <no> engine', 'Traceback of wrecked'))
    try:
        text = text_of(browser, project)
    finally:
        failure_log.clear()
    assert 'It failed in stage <b>import</b>: ImportError: &lt;no&gt; engine' in text
    assert 'Traceback of wrecked' in text
    assert 'Enable wrecked' not in text


def test_a_backend_class_that_cannot_be_imported_is_shown_and_recorded_once(browser, project, learner):
    def missing():
        raise ImportError('no engine')

    learner.backend_class = missing
    assert 'Its backend class cannot be imported: ImportError: no engine' in text_of(browser, project)
    text_of(browser, project)
    assert len([item for item in failure_log.of('learner') if 'no engine' in item.error]) == 1


def test_a_label_config_that_cannot_be_served_disables_the_toggle(browser, owner, learner):
    texts = Project.objects.create(
        title='Texts',
        created_by=owner,
        organization=owner.active_organization,
        label_config='<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>',
    )
    text = text_of(browser, texts)
    assert 'needs &lt;Choices&gt; on &lt;Image&gt;' in text
    assert 'disabled title="' in text


def test_the_toggle_switches_and_is_on_record(press, project, owner, learner):
    on = press('learner/enable/').content.decode()
    assert 'aria-checked="true"' in on and '>Train</button>' in on
    off = press('learner/disable/').content.decode()
    assert 'aria-checked="false"' in off and '>Train</button>' not in off
    events = list(BackendEvent.objects.order_by('id').values_list('action', 'user'))
    assert events == [('enabled', owner.pk), ('disabled', owner.pk)]


def test_a_button_without_the_token_is_refused(browser, project, learner):
    assert browser.post(f'/projects/{project.pk}/ml-backends/learner/enable/').status_code == 403
    assert not ProjectBackend.objects.exists()


def test_a_form_sent_without_javascript_leads_back_to_the_page(browser, project, learner):
    token = str(browser.get(f'/projects/{project.pk}/ml-backends/').context['csrf_token'])
    url = f'/projects/{project.pk}/ml-backends/learner'
    response = browser.post(f'{url}/enable/', {'csrfmiddlewaretoken': token})
    assert (response.status_code, response.url) == (302, f'/projects/{project.pk}/ml-backends/')
    browser.post(f'{url}/params/', {'csrfmiddlewaretoken': token, 'epochs': '99'})
    assert 'is above 50' in text_of(browser, project)


def test_parameters_are_checked_and_saved(press, learner):
    press('learner/enable/')
    assert 'is above 50' in press('learner/params/', {'epochs': '99', 'augment': 'on'}).content.decode()
    press('learner/params/', {'epochs': '7', 'augment': ['off', 'on']})
    assert ProjectBackend.objects.get().params == {'epochs': 7}
    press('learner/params/', {'epochs': '7', 'augment': 'off'})
    assert ProjectBackend.objects.get().params == {'epochs': 7, 'augment': False}


def test_training_refused_shows_the_reason(press, learner, monkeypatch):
    from label_studio.ml_host.training import runs

    def refuse(project, backend, user=None):
        raise runs.TrainingError('Label at least two classes first.')

    monkeypatch.setattr(runs, 'request_training', refuse)
    press('learner/enable/')
    assert 'Label at least two classes first.' in press('learner/train/').content.decode()


@pytest.fixture
def running(project, learner, settings, tmp_path):
    settings.ML_LOG_DIR = tmp_path
    ProjectBackend.objects.create(project=project, backend='learner', enabled=True)
    run = TrainingRun.objects.create(
        project=project,
        backend='learner',
        state='running',
        done=3,
        total=10,
        metrics={'accuracy': 0.87654321},
        started_at=timezone.now() - timezone.timedelta(seconds=75),
        skipped=[{'task': 7, 'reason': 'its picture is cut off'}],
    )
    path = run_log_path(settings.ML_LOG_DIR, run.pk)
    path.write_text('\n'.join(f'line {number}' for number in range(100)))
    return run


def test_a_run_is_shown_live(browser, project, running):
    text = text_of(browser, project)
    assert 'hx-trigger="every 1s"' in text
    for part in ('Running', '30%', '<b>0.8765</b>', '1:1', 'Cancel', 'Task 7: its picture is cut off', 'line 99'):
        assert part in text
    assert 'line 50\n' not in text
    log = browser.get(f'/projects/{project.pk}/ml-backends/learner/runs/{running.pk}/log/')
    assert log.content.decode().startswith('line 0\n')


def test_the_page_says_why_nothing_was_measured(browser, project, running):
    TrainingRun.objects.update(state='finished', metrics={'held_out_size': 0.0, 'loss': 0.5})
    ModelVersion.objects.create(
        project=project, backend='learner', number=1, directory='x', digest='0' * 64, metrics={'held_out_size': 0.0}
    )
    text = text_of(browser, project)
    assert text.count('no held-out labels yet') == 2 and '<b>0.5</b>' in text
    TrainingRun.objects.update(metrics={'held_out_size': 4.0})
    assert 'held_out_size <b>4</b>' in text_of(browser, project)


def test_polling_ends_with_the_run(browser, project, running):
    url = f'/projects/{project.pk}/ml-backends/learner/runs/?shown={running.pk}'
    assert 'HX-Retarget' not in browser.get(url)
    TrainingRun.objects.update(state='failed', error='Only one class.', traceback='Trace', ended_at=timezone.now())
    response = browser.get(url)
    assert response['HX-Retarget'] == '#ml-card-learner'
    text = response.content.decode()
    assert 'Only one class.' in text and 'every 1s' not in text


def test_cancel(press, running):
    assert 'Stopping' in press(f'learner/runs/{running.pk}/cancel/').content.decode()
    running.refresh_from_db()
    assert running.cancel_requested


def test_versions_and_damaged_files(press, browser, project, running):
    versions = [
        ModelVersion.objects.create(
            project=project, backend='learner', number=number, directory=f'nowhere/{number}', digest='0' * 64
        )
        for number in (1, 2)
    ]
    ProjectBackend.objects.update(in_service=versions[1])
    assert 'Put in service' in text_of(browser, project)
    refused = press('learner/versions/1/put-in-service/').content.decode()
    assert 'ml-box-error' in refused
    assert ProjectBackend.objects.get().in_service == versions[1]


def test_failures_and_breaker(press, browser, project, running, monkeypatch):
    from label_studio.ml_host.serving import host

    monkeypatch.setattr(host, 'breaker_state', lambda project_id, backend: 'resting, 9 s left')
    FailureRecord.objects.create(
        plugin='learner', stage='predict', error='ValueError: odd', traceback='deep inside', project=project
    )
    text = text_of(browser, project)
    assert 'resting, 9 s left' in text and 'ValueError: odd' in text and 'deep inside' in text
    press('learner/reset/')
    assert BackendEvent.objects.filter(action='reset').exists()


def test_a_failure_of_today_is_shown_without_being_asked_for(browser, project, running):
    FailureRecord.objects.create(
        plugin='learner', stage='task', error='Task 7: field "image" answers 404', project=project
    )
    text = text_of(browser, project)
    assert 'no prediction: Task 7: field &quot;image&quot; answers 404' in text
    assert '<details id="ml-failures-learner" open>' in text
    FailureRecord.objects.create(plugin='learner', stage='notice', error='"lion" is left out', project=project)
    assert 'note: &quot;lion&quot; is left out' in text_of(browser, project)
    FailureRecord.objects.update(created_at=timezone.now() - timezone.timedelta(hours=25))
    assert '<details id="ml-failures-learner">' in text_of(browser, project)


@pytest.mark.parametrize(('template', 'expected'), [('ml_host/_nowhere.html', 'Its own panel could not be shown')])
def test_a_broken_panel_stays_in_its_box(browser, project, running, learner, monkeypatch, template, expected):
    config = SimpleNamespace(description='', panel_template=template, url_conf='', verbose_name='x', label='x')
    monkeypatch.setattr(type(learner), 'config', config)
    text = text_of(browser, project)
    assert expected in text and 'TemplateDoesNotExist' in text


def test_a_backend_whose_package_is_gone_can_be_switched_off(press, browser, project, learner):
    ProjectBackend.objects.create(project=project, backend='departed', enabled=True)
    assert 'Not installed' in text_of(browser, project)
    press('departed/disable/')
    assert not ProjectBackend.objects.get(backend='departed').enabled


def test_who_may_see_it(client, sign_in, project, learner):
    url = f'/projects/{project.pk}/ml-backends/'
    assert client.get(url).status_code == 302  # to the login page
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    other = sign_in(stranger)
    for path in ('', 'learner/', 'learner/runs/', 'runtime.log'):
        assert other.get(url + path).status_code in (403, 404), path
    assert other.post(f'{url}learner/enable/').status_code in (403, 404)
    assert not ProjectBackend.objects.exists()


def test_unknown_backend_and_get_on_a_button(browser, project, learner):
    url = f'/projects/{project.pk}/ml-backends/'
    assert browser.get(f'{url}nothing/').status_code == 404
    assert browser.get(f'{url}learner/enable/').status_code == 405


@pytest.mark.parametrize('path', ['ml_host/page.css', 'ml_host/menu.js', 'django_htmx/htmx-2.min.js'])
def test_our_assets_are_served(client, path):
    response = client.get(f'/static/{path}')
    assert response.status_code == 200
    assert b''.join(response.streaming_content)


def test_assets_do_not_leave_their_folder(client):
    for path in ('ml_host/../../settings.py', 'ml_host/%2e%2e/%2e%2e/settings.py', 'ml_host/nothing.js'):
        assert client.get(f'/static/{path}').status_code in (400, 404)


def test_constant_backends_offer_no_training(press, constant):
    assert 'This model is not trained here.' in press('constant/enable/').content.decode()
