"""A plugin breaks only itself: the server starts, says what is wrong, and the others work."""

import json

import pytest

# Plugin -> stage that is recorded when the server starts, and words of the error.
AT_START = {
    'broken_import': ('import', 'broken in import'),
    'broken_validate': ('validate', 'requires the plugin API >=99'),
    'broken_models': ('models', 'broken in models'),
    'broken_ready': ('ready', 'broken in ready'),
}
# These load; their problem shows when they are used.
AT_WORK = (
    'broken_backend',
    'broken_check',
    'broken_fenced',
    'broken_fit',
    'broken_migrate',
    'broken_predict_hangs',
    'broken_predict_raises',
    'broken_render',
    'broken_rubbish',
    'broken_setup',
    'broken_urls',
)

REPORT = """
import json, sys
from label_studio.ml_host import bootstrap
bootstrap.setup()
from django.core.management import call_command
from django.urls import reverse, resolve
from ml_plugins.registry import registry
call_command('check', verbosity=0)
report = {
    plugin.name: {
        'usable': plugin.is_usable,
        'missing': plugin.missing,
        'failures': [[item.stage.value, item.error, item.traceback] for item in plugin.load_failures],
    }
    for plugin in registry.all()
}
report['home'] = resolve('/projects/').func.__module__
report['torch'] = 'torch' in sys.modules
from django.apps import apps
report['apps'] = [config.name for config in apps.get_app_configs()]
report['models'] = [model.__name__ for model in apps.get_models()]
print('REPORT' + json.dumps(report))
"""


@pytest.fixture(scope='module')
def report(plugin_path, tmp_path_factory):
    """What a server process says about every plugin once it has started."""
    import os
    import subprocess
    import sys

    environment = {
        **os.environ,
        'PYTHONPATH': str(plugin_path),
        'LABEL_STUDIO_BASE_DATA_DIR': str(tmp_path_factory.mktemp('data')),
    }
    done = subprocess.run([sys.executable, '-c', REPORT], env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.rpartition('REPORT')[2])


@pytest.mark.parametrize('name', sorted(AT_START))
def test_failure_at_start_is_recorded_with_its_stage_and_traceback(report, name):
    stage, words = AT_START[name]
    assert report[name]['usable'] is False
    assert [failure[0] for failure in report[name]['failures']] == [stage]
    assert words in report[name]['failures'][0][1]
    assert 'Traceback' in report[name]['failures'][0][2]


@pytest.mark.parametrize('name', AT_WORK)
def test_plugin_that_breaks_later_loads(report, name):
    assert report[name] == {'usable': True, 'missing': '', 'failures': []}


def test_demo_is_usable_beside_broken_plugins(report):
    assert report['demo'] == {'usable': True, 'missing': '', 'failures': []}
    assert 'mlp_demo' in report['apps']
    assert 'DemoNote' in report['models']


def test_what_is_missing_is_said_with_the_command_and_without_a_traceback(report):
    command = "pip install 'mlp-broken[more]'"
    said = f'a-package-that-nobody-has is not installed: {command}'
    assert report['broken_incomplete'] == {'usable': False, 'missing': said, 'failures': []}


def test_half_registered_models_are_gone(report):
    assert 'HalfRegistered' not in report['models']


def test_upstream_pages_are_there_and_no_torch(report):
    assert report['home'].startswith('projects')
    assert report['torch'] is False
