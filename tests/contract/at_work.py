"""Run by test_plugins_at_work.py in a process of its own: use every installed plugin as people do, report as JSON."""

import json
import time
import traceback

from label_studio.ml_host import bootstrap

bootstrap.setup()

from django.conf import settings  # noqa: E402
from django.test import Client  # noqa: E402

from label_studio.ml_host.enabling.services import enable, set_params  # noqa: E402
from label_studio.ml_host.launcher.migrate import migrate  # noqa: E402
from label_studio.ml_host.models import FailureRecord, TrainingRun  # noqa: E402
from label_studio.ml_host.training.jobs import train  # noqa: E402
from label_studio.ml_host.upstream import Organization, Project, Task, User  # noqa: E402
from ml_plugins.registry import registry  # noqa: E402

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
RESULT = [{'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['good']}}]
RUBBISH = ('label', 'to_name', 'nan', 'type', 'short', 'nothing')


def sign_in():
    user = User.objects.create_user(email='owner@example.org', password='secret-pass')
    user.active_organization = Organization.create_organization(created_by=user, title='Example')
    user.save(update_fields=['active_organization'])
    client = Client(raise_request_exception=False)
    client.force_login(user)
    session = client.session
    session['last_login'] = time.time()
    session.save()
    # Upstream keeps the session in the cookie itself.
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return user, client


def use(name, user, client, params=None):
    """Enable one plugin on a project of its own, open a task, label it, train, open the page."""
    project = Project.objects.create(
        title=name, created_by=user, organization=user.active_organization, label_config=CONFIG
    )
    tasks = [Task.objects.create(project=project, data={'text': f'a sunny day {index}'}) for index in range(2)]
    report = {'refused': ''}
    try:
        enable(project, name, user)
        if params:
            set_params(project, name, params, user)
    except Exception as error:
        report['refused'] = f'{type(error).__name__}: {error}'
    started = time.monotonic()
    opened = client.get(f'/api/tasks/{tasks[0].pk}/')
    report |= {'open': opened.status_code, 'open_seconds': time.monotonic() - started}
    report['predictions'] = [item['result'] for item in opened.json().get('predictions', [])]
    stored = client.post(f'/api/tasks/{tasks[0].pk}/annotations/', {'result': RESULT}, 'application/json')
    report['annotate'] = stored.status_code
    report['next'] = client.get(f'/api/projects/{project.pk}/next/').status_code
    if not report['refused'] and registry.get(name).backend_class().can_fit():
        run = TrainingRun.objects.create(project=project, backend=name, created_by=user)
        train(run.pk)
        run.refresh_from_db()
        report['run'] = {'state': run.state, 'error': run.error, 'traceback': run.traceback}
    # Failures are stored by a thread of their own, and a hang is one only after some seconds.
    patience = time.monotonic() + (8 if name == 'broken_predict_hangs' else 0.5)
    while time.monotonic() < patience and not FailureRecord.objects.filter(project=project).exists():
        time.sleep(0.05)
    report['records'] = list(FailureRecord.objects.filter(project=project).values_list('stage', 'error', 'traceback'))
    page = client.get(f'/projects/{project.pk}/ml-backends/')
    report |= {'page': page.status_code, 'html': page.content.decode()}
    return report


def main():
    migrate()
    user, client = sign_in()
    report = {}
    for plugin in registry.usable():
        if plugin.name not in ('image_classifier', 'broken_rubbish'):
            report[plugin.name] = use(plugin.name, user, client)
    for kind in RUBBISH:
        report[f'broken_rubbish {kind}'] = use('broken_rubbish', user, client, {'kind': kind})
    report['load_failures'] = {
        plugin.name: [[item.stage.value, item.error] for item in plugin.load_failures] for plugin in registry.all()
    }
    plugin_page = client.get('/plugins/demo/')
    report['demo_page'] = [plugin_page.status_code, plugin_page.content.decode()[:200]]
    report['demo_assets'] = {}
    for name in ('panel.css', 'panel.js', 'nothing.css', '../../../settings.py'):
        answer = client.get(f'/static/mlp_demo/{name}')
        content = b''.join(answer.streaming_content) if answer.streaming else answer.content
        report['demo_assets'][name] = [answer.status_code, answer.headers.get('Content-Type'), content.decode()]
    report['upstream_asset'] = client.get('/static/css/error.css').status_code
    report['broken_page'] = client.get('/plugins/broken_urls/').status_code
    print('REPORT' + json.dumps(report), flush=True)


if __name__ == '__main__':
    try:
        main()
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # A model that hangs keeps its thread, as it would in the server.
        import os
        import sys

        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
