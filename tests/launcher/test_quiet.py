"""What a start says: our own lines, and nothing that upstream and its libraries say about themselves."""

import os
import subprocess
import sys
from pathlib import Path

from tests.launcher.conftest import BROKEN

# The process that runs the tests has read the settings already.
SETTLED = ('LOG_LEVEL', 'PYTHONWARNINGS', 'SECRET_KEY')
LOADED = 'import label_studio.ml_host.bootstrap as b; b.setup(); from core.label_config import parse_config; '
PARSED = "parse_config('<View/>'); print('done')"


def said(folder, *options: str, after: str = '', **environment: str) -> str:
    """All that a process says that loads the server with an empty data directory."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTLED}
    done = subprocess.run(
        [sys.executable, *options, '-c', LOADED + PARSED + after],
        env={**kept, 'LABEL_STUDIO_BASE_DATA_DIR': str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_an_empty_data_directory_is_no_news(tmp_path):
    assert said(tmp_path, LOG_LEVEL='WARNING') == 'done\n'


def test_who_asks_hears_it_all(tmp_path):
    text = said(tmp_path, '-W', 'always', LOG_LEVEL='DEBUG')
    assert 'Database and media directory' in text
    assert 'Using deprecated method' in text
    assert 'Accessing the database during app initialization' in text


def test_lists_of_upstream_without_an_order_are_no_news(tmp_path):
    asked = '; from labels_manager.models import Label; from django.core.paginator import Paginator; '
    asked += 'Paginator(Label.objects.order_by(), 5)._check_object_list_is_ordered()'
    assert said(tmp_path, LOG_LEVEL='WARNING', after=asked) == 'done\n'


def test_what_a_person_can_act_on_is_said(tmp_path):
    (tmp_path / '.env').mkdir()
    assert 'failed to write SECRET_KEY' in said(tmp_path, LOG_LEVEL='WARNING')


def test_a_broken_plugin_takes_one_line_and_its_traceback_is_in_the_log(tmp_path, broken_plugin):
    text = said(tmp_path, LOG_LEVEL='WARNING', PYTHONPATH=str(broken_plugin))
    *lines, done = text.splitlines()
    assert done == 'done'
    [line] = lines
    assert 'Plugin broken_plugin failed in stage import: RuntimeError: written on a Friday' in line
    assert 'label-studio logs' in line
    log = (tmp_path / 'ml' / 'logs' / 'runtime.log').read_text()
    assert log.count('Plugin broken_plugin failed in stage import') == 1
    assert BROKEN in log


def test_check_shows_the_traceback_of_the_plugin_that_was_asked_for(tmp_path, broken_plugin):
    environment = {**os.environ, 'PYTHONPATH': str(broken_plugin), 'LABEL_STUDIO_BASE_DATA_DIR': str(tmp_path)}
    program = Path(sys.executable).with_name('label-studio')

    def check(name: str) -> subprocess.CompletedProcess:
        command = [program, 'plugins', 'check', name]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    asked, other = check('broken_plugin'), check('image_classifier')
    assert asked.returncode == 1
    assert 'broken_plugin: import: RuntimeError: written on a Friday' in asked.stderr
    assert BROKEN in asked.stderr
    assert other.returncode == 0
    assert 'Traceback' not in other.stderr
