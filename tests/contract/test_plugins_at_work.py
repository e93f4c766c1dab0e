"""Whatever an enabled plugin does, tasks open, people label, and the page shows the traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OPEN_BUDGET = 1.0
RUBBISH = {
    'label': 'no such label',
    'to_name': 'no_such_object',
    'nan': 'not a number in 0..1',
    'type': 'returned str',
    'short': '0 items for 1 tasks',
    'nothing': '0 items for 1 tasks',
}
# Plugin -> stage and words that are recorded while people work.
RECORDED = {
    'broken_setup': ('setup', 'broken in setup'),
    'broken_predict_raises': ('predict', 'broken in predict'),
    'broken_predict_hangs': ('predict', 'PredictTimeoutError'),
    'broken_fit': ('fit', 'broken in fit'),
    **{f'broken_rubbish {kind}': ('predict', words) for kind, words in RUBBISH.items()},
}
# Plugin -> words on its card of the page.
ON_PAGE = {
    'broken_import': 'broken in import',
    'broken_validate': 'requires the plugin API',
    'broken_models': 'broken in models',
    'broken_ready': 'broken in ready',
    'broken_migrate': 'broken in migrate',
    'broken_urls': 'broken in urls',
    'broken_backend': 'broken in backend',
    'broken_check': 'broken in check',
    'broken_setup': 'broken in setup',
    'broken_predict_raises': 'broken in predict',
    'broken_predict_hangs': 'PredictTimeoutError',
    'broken_render': 'no_such_library',
    'broken_fit': 'broken in fit',
}


@pytest.fixture(scope='module')
def report(plugin_path, migrated_database, tmp_path_factory):
    """What a process saw that used every installed plugin as people do."""
    data = tmp_path_factory.mktemp('data')
    shutil.copy(migrated_database, data)
    environment = {
        **os.environ,
        'PYTHONPATH': str(plugin_path),
        'LABEL_STUDIO_BASE_DATA_DIR': str(data),
        'LABEL_STUDIO_ML_OPEN_BUDGET': str(OPEN_BUDGET),
        'LABEL_STUDIO_ML_PREDICT_TIMEOUT': '3',
    }
    script = Path(__file__).with_name('at_work.py')
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300)
    assert 'REPORT' in done.stdout, done.stderr[-4000:]
    return json.loads(done.stdout.rpartition('REPORT')[2])


def used(report):
    return {name: item for name, item in report.items() if isinstance(item, dict) and 'open' in item}


def card(report, name):
    """The part of a project's page that is about one plugin."""
    html = next((item['html'] for key, item in used(report).items() if key == name), None) or report['demo']['html']
    parts = [part for part in html.split('<section')[1:] if f'data-backend="{name}"' in part]
    assert len(parts) == 1, f'{name} has {len(parts)} cards'
    return parts[0].partition('</section>')[0]


def test_people_label_whatever_a_plugin_does(report):
    seen = {name: (item['open'], item['annotate'], item['next'], item['page']) for name, item in used(report).items()}
    assert len(seen) >= 15
    assert set(seen.values()) == {(200, 201, 200, 200)}, seen


def test_opening_a_task_waits_no_longer_than_the_budget(report):
    hanging = report['broken_predict_hangs']['open_seconds']
    assert hanging < OPEN_BUDGET + 2


@pytest.mark.parametrize('name', sorted(RECORDED))
def test_failure_at_work_is_recorded(report, name):
    stage, words = RECORDED[name]
    assert report[name]['records'], 'nothing was recorded'
    assert {record[0] for record in report[name]['records']} == {stage}
    assert words in report[name]['records'][0][1]
    assert 'Traceback' in report[name]['records'][0][2] or stage == 'predict'


@pytest.mark.parametrize('name', sorted(RECORDED))
def test_rubbish_is_not_shown(report, name):
    if name != 'broken_fit':
        assert report[name]['predictions'] == []


@pytest.mark.parametrize('name', sorted(ON_PAGE))
def test_page_shows_what_is_wrong(report, name):
    assert ON_PAGE[name] in card(report, name).replace('&#x27;', "'")


@pytest.mark.parametrize('name', ['broken_import', 'broken_models', 'broken_ready', 'broken_migrate', 'broken_fit'])
def test_page_shows_the_traceback(report, name):
    assert 'Traceback (most recent call last)' in card(report, name)


def test_broken_migration_stops_only_its_plugin(report):
    broken = {name: [stage for stage, _ in items] for name, items in report['load_failures'].items() if items}
    assert broken == {
        'broken_import': ['import'],
        'broken_migrate': ['migrate'],
        'broken_models': ['models'],
        'broken_ready': ['ready'],
        'broken_validate': ['validate'],
    }


def test_backend_that_cannot_be_checked_is_refused(report):
    assert 'broken in backend' in report['broken_backend']['refused']
    assert 'broken in check' in report['broken_check']['refused']


def test_training_that_raises_is_a_failed_run(report):
    run = report['broken_fit']['run']
    assert run['state'] == 'failed'
    assert 'broken in fit' in run['error']
    assert 'Traceback' in run['traceback']


def test_demo_works_beside_them(report):
    demo = report['demo']
    assert demo['refused'] == ''
    assert demo['predictions'][0][0]['value'] == {'choices': ['good']}
    assert demo['run'] == {'state': 'finished', 'error': '', 'traceback': ''}
    assert demo['records'] == []
    assert report['demo_page'] == [200, '{"plugin": "demo", "notes": 0}']
    assert 'Demo panel of project demo.' in card(report, 'demo')
    assert report['broken_page'] == 404


def test_a_plugin_made_of_a_function_works_beside_them(report):
    demo = report['demo_words']
    assert (demo['refused'], demo['records']) == ('', [])
    assert demo['predictions'][0][0]['value'] == {'choices': ['good']}
    assert 'Looks for fine words.' in card(report, 'demo_words')


def test_static_files_of_a_plugin_are_served(report):
    assets = report['demo_assets']
    assert assets['panel.css'][:2] == [200, 'text/css']
    assert '.mlp-demo-panel' in assets['panel.css'][2]
    assert assets['panel.js'][0] == 200
    assert 'javascript' in assets['panel.js'][1]
    assert assets['nothing.css'][0] == 404
    assert assets['../../../settings.py'][0] in (400, 404)
    assert report['upstream_asset'] == 200


def test_templates_of_a_plugin_name_their_static_files_as_in_django(report):
    assert 'href="/static/mlp_demo/panel.css"' in card(report, 'demo')
