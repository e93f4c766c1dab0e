"""`/metrics/ml`: who may read it, and what Prometheus finds there."""

import re
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.authtoken.models import Token

from label_studio.ml_host.enabling.services import enable
from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.serving import host, metrics
from ml_plugins.types import Task

pytestmark = pytest.mark.django_db
URL = '/metrics/ml'
PREFIX = 'label_studio_ml_'


def read(client, **headers) -> dict[str, float]:
    response = client.get(URL, **headers)
    assert response.status_code == 200, response.content
    assert response['Content-Type'].startswith('text/plain')
    families = list(text_string_to_metric_families(response.content.decode()))
    found = [(key(item.name, **item.labels), item.value) for family in families for item in family.samples]
    assert len(dict(found)) == len(found), 'Prometheus refuses two samples with the same names'
    return dict(found)


def key(name: str, **labels: str) -> str:
    return ' '.join([name.removeprefix(PREFIX), *(f'{word}={labels[word]}' for word in sorted(labels))])


def test_it_needs_somebody_who_is_signed_in(client, owner, settings):
    assert client.get(URL).status_code == 401
    assert client.get(URL, HTTP_AUTHORIZATION='Token 0123').status_code == 401
    client.force_login(owner)
    session = client.session
    session['last_login'] = time.time()
    session.save()
    # Upstream keeps the session in the cookie itself.
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert read(client)['resident_models'] == 0


def test_a_token_will_do(client, owner):
    owner.active_organization.jwt.legacy_api_tokens_enabled = True
    owner.active_organization.jwt.save()
    token, _ = Token.objects.get_or_create(user=owner)
    assert read(client, HTTP_AUTHORIZATION=f'Token {token.key}')
    assert client.get(f'{URL}/', HTTP_AUTHORIZATION=f'Token {token.key}').status_code == 200


def test_a_setting_opens_it(client, settings):
    settings.ML_METRICS_ANONYMOUS = True
    assert read(client)['resident_models'] == 0


def test_upstreams_own_page_is_still_there(client):
    response = client.get('/metrics/')
    assert (response.status_code, response.content) == (200, b'')


def test_models_and_breakers(api, project, owner, constant):
    enable(project, 'constant', owner)
    row = project.plugin_backends.get()
    spec = host.spec_for(row, project.label_config)
    host.runtime().submit(spec, [Task(1, {'image': 'x'})]).result(10)
    found = read(api)
    names = {'plugin': 'constant', 'project': str(project.pk)}
    assert found['resident_models'] == 1
    assert found[key('queue_length', **names, version='')] == 0
    assert found[key('model_memory_bytes', **names, version='')] >= 0
    assert found[key('breaker_open', **names)] == 0
    breaker = host.breakers()['constant', project.pk]
    for _ in range(3):
        breaker.failed()
    assert read(api)[key('breaker_open', **names)] == 1


def test_two_models_of_one_version_are_one_sample(api, project, owner, constant):
    enable(project, 'constant', owner)
    row = project.plugin_backends.get()
    for config in (project.label_config, project.label_config.replace('cat', 'cow')):
        host.runtime().warm(host.spec_for(row, config)).result(10)
    found = read(api)
    assert found['resident_models'] == 2
    assert found[f'queue_length plugin=constant project={project.pk} version='] == 0


@pytest.fixture
def runs(project):
    def make(**values):
        return PrelabelRun.objects.create(project=project, backend='constant', label='constant-v0', **values)

    made = {
        'running': make(state='running', total=100),
        'queued': make(state='queued', total=7),
        'fresh': make(state='finished', total=5, ended_at=timezone.now() - timedelta(minutes=1)),
        'old': make(state='failed', total=9, ended_at=timezone.now() - timedelta(days=1)),
    }
    PrelabelShard.objects.create(run=made['running'], first_id=1, last_id=50, done=20, skipped=3, failed=1)
    PrelabelShard.objects.create(run=made['running'], first_id=51, last_id=99, done=11, failed=2)
    return made


def test_progress_of_bulk_runs(api, project, runs, django_assert_num_queries):
    found = read(api)
    names = {'plugin': 'constant', 'project': str(project.pk)}
    sizes = {name: value for name, value in found.items() if name.startswith('prelabel_run_size')}
    assert sizes == {
        key('prelabel_run_size', run=str(runs[name].pk), **names): size
        for name, size in {'running': 100, 'queued': 7, 'fresh': 5}.items()
    }
    for result, count in {'done': 31, 'skipped': 3, 'failed': 3}.items():
        assert found[key('prelabel_run_tasks', run=str(runs['running'].pk), result=result, **names)] == count
    states = [found[f'prelabel_runs state={state}'] for state in PrelabelRun.State.values]
    assert dict(zip(PrelabelRun.State.values, states, strict=True)) == {
        'queued': 1,
        'running': 1,
        'finished': 1,
        'failed': 1,
        'cancelled': 0,
    }
    with django_assert_num_queries(2):
        metrics.text()


def test_without_the_database_the_other_figures_are_there(monkeypatch):
    def broken():
        raise DatabaseError('database is locked')
        yield

    monkeypatch.setattr(metrics, '_runs', broken)
    text = metrics.text()[0].decode()
    assert f'{PREFIX}resident_models 0.0' in text
    assert 'prelabel_run' not in text


def test_the_host_prepares_fences():
    from ml_plugins.runtime import fence

    module, _, name = fence.bootstrap.partition(':')
    assert callable(getattr(sys.modules[module], name))


def test_the_documented_scrape_config_works(client, owner):
    page = (Path(__file__).resolve().parents[2] / 'docs' / 'operate.md').read_text(encoding='utf-8')
    block = re.search(r'```yaml title="prometheus.yml"\n(.*?)```', page, re.DOTALL).group(1)
    [job] = yaml.safe_load(block)['scrape_configs']
    owner.active_organization.jwt.legacy_api_tokens_enabled = True
    owner.active_organization.jwt.save()
    token, _ = Token.objects.get_or_create(user=owner)
    response = client.get(job['metrics_path'], HTTP_AUTHORIZATION=f'{job["authorization"]["type"]} {token.key}')
    assert (response.status_code, response.content[:7]) == (200, b'# HELP ')


def test_the_documented_names_are_given_out(client, settings, runs):
    settings.ML_METRICS_ANONYMOUS = True
    page = (Path(__file__).resolve().parents[2] / 'docs' / 'operate.md').read_text(encoding='utf-8')
    rows = page.partition('after `label_studio_ml_`')[2].partition('\n\n')[0].splitlines()[2:]
    named = {name for row in rows for name in re.findall(r'`(\w+)`', row.split('|')[1])}
    given = {name.split()[2] for name in client.get(URL).content.decode().splitlines() if name.startswith('# TYPE')}
    assert {f'{PREFIX}{name}' for name in named} == {name for name in given if not name.endswith('_created')}
