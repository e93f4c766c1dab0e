"""What the command says to wrong names and missing things, before anything is started."""

import contextlib
import ctypes
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from label_studio.ml_host import cli
from label_studio.ml_host.bootstrap import UPSTREAM_ROOT
from label_studio.ml_host.cli.options import start_options
from label_studio.ml_host.cli.templates import find_template, label_config

PROGRAM = Path(sys.executable).parent / 'label-studio'
# From Linux's headers.
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
CANNOT_DROP = 99
HEAVY = ('django', 'torch', 'torchvision', 'scipy', 'sklearn', 'PIL', 'numpy', 'rest_framework')


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Commands name things in the environment of their process, which here is the tests'."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def last_words(call) -> str:
    with pytest.raises(SystemExit) as caught:
        call()
    return str(caught.value.code)


def start_words(*arguments: str) -> str:
    from label_studio.ml_host.cli import prepare, start

    return last_words(lambda: prepare.check_names(start._parse(list(arguments))))


def test_unknown_backend_is_named_with_what_works_and_what_does_not(tmp_path, broken_plugin):
    environment = {**os.environ, 'PYTHONPATH': str(broken_plugin)}
    command = [PROGRAM, 'start', '--data-dir', str(tmp_path), '--ml-backend-name', 'nothing']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith('There is no ML backend "nothing". Installed: ')
    assert 'broken_plugin (broken: import: RuntimeError: written on a Friday)' in sentence
    assert 'image_classifier' in sentence and 'image_classifier (' not in sentence


def test_a_broken_backend_is_named_with_the_reason(tmp_path, broken_plugin):
    environment = {**os.environ, 'PYTHONPATH': str(broken_plugin)}
    command = [PROGRAM, 'start', '--data-dir', str(tmp_path), '--ml-backend-name', 'broken_plugin']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith('ML backend "broken_plugin" is broken (import: RuntimeError: written on a Friday). Other')
    assert 'Traceback' not in done.stderr


def test_unknown_template_is_named_with_all_templates():
    words = start_words('pets', '--init', '--template', 'nothing')
    assert words.startswith('There is no template "nothing". Templates: ')
    assert 'image_classification' in words and 'named_entity_recognition' in words


@pytest.mark.parametrize('name', ['image_classification', 'image-classification', 'Image Classification'])
def test_template_names_are_forgiving(name):
    assert '<Choices' in label_config(find_template(name))


def test_every_template_has_a_label_config():
    from label_studio.ml_host.cli.templates import template_files

    for path in template_files().values():
        assert label_config(path).strip().startswith('<'), path


@pytest.mark.parametrize(
    'arguments',
    [
        ('--template', 'image_classification'),
        ('--ml-backend-url', 'http://localhost:9090'),
        ('pets', '--init', '--template', 'x', '--label-config', __file__),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments, capsys):
    assert start_words(*arguments) == '2'
    assert 'error: --' in capsys.readouterr().err


def test_a_data_directory_that_cannot_be_written(tmp_path):
    blocked = tmp_path / 'file'
    blocked.touch()
    command = [PROGRAM, 'start', '--data-dir', str(blocked / 'data')]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'cannot be written' in done.stderr and 'Traceback' not in done.stderr


def without_root_powers() -> None:
    """Runs in a child before the command: root writes where nobody else may."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                os._exit(CANNOT_DROP)


@pytest.mark.skipif(sys.platform != 'linux', reason='drops capabilities')
@pytest.mark.parametrize('name', ['ml/redis', 'ml/logs', 'media', 'label_studio.sqlite3', '.env'])
def test_a_part_of_the_data_directory_that_cannot_be_written(data_dir, name):
    part = data_dir / name
    if part.suffix or part.name == '.env':
        part.touch()
    else:
        part.mkdir(parents=True)
    part.chmod({'.env': 0o000, '.sqlite3': 0o400}.get(part.suffix or part.name, 0o500))
    command = [PROGRAM, 'start', '--no-browser', '--data-dir', str(data_dir)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, preexec_fn=without_root_powers)
    finally:
        part.chmod(0o700)
    if done.returncode == CANNOT_DROP:
        pytest.skip('root keeps its powers here')
    assert done.returncode == 1
    assert re.search(f'{re.escape(str(part))} cannot be (written|read|used)', done.stderr), done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('port', ['0', '70000', '-1'])
def test_a_port_that_is_none(port):
    from label_studio.ml_host.cli import start

    words = last_words(lambda: start._port(start._parse([f'--port={port}']), {}))
    assert words == f'The port {port} is not between 1 and 65535. Choose another --port.'


def test_an_address_that_is_not_here():
    from label_studio.ml_host.launcher import web

    with pytest.raises(web.PortError, match='Choose another --internal-host'):
        web.listen('192.0.2.1', 8080, lambda environ, start_response: [])


def test_a_config_that_is_no_json(tmp_path):
    from label_studio.ml_host.cli import start

    path = tmp_path / 'config.json'
    path.write_text('port = 8080')
    words = last_words(lambda: start._read_config(start._parse(['--config', str(path)])))
    assert words.startswith(f'--config {path} is not a JSON file')


def test_a_worker_without_a_queue(tmp_path):
    from label_studio.ml_host.cli import worker

    words = last_words(lambda: worker.main(['--data-dir', str(tmp_path)]))
    assert 'REDIS_URL' in words and 'label-studio start' in words


def test_an_unknown_command_lists_the_commands():
    assert 'worker' in last_words(lambda: cli.main(['nothing']))


def test_shared_options_may_stand_before_the_command():
    assert cli.split_command(['--port', '8081', 'start', 'pets']) == ('start', ['--port', '8081', 'pets'])
    assert cli.split_command(['--username', 'user', 'start']) == ('start', ['--username', 'user'])
    assert cli.split_command(['-p', '8081']) == (None, ['-p', '8081'])


def test_windows_gets_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'platform', 'win32')
    assert cli.main(['start']) == 1
    assert 'WSL' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--help'], ['start', '--help'], ['worker', '--help'], ['init', '--help']])
def test_help_shows_our_options_and_loads_nothing_heavy(arguments):
    code = (
        'import sys\nfrom label_studio.ml_host.cli import main\n'
        f'try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n'
        f'loaded = {{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r})\nassert not loaded, loaded\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if arguments[0] != 'worker':
        assert 'usage: label-studio' in done.stdout
    if arguments in (['--help'], ['start', '--help']):
        for option in ('--template', '--ml-backend-name', '--ml-backend-url'):
            assert option in done.stdout


def test_start_takes_every_option_of_upstream():
    """Upstream's parser cannot be asked without running it, so its source is read."""
    source = (UPSTREAM_ROOT / 'core' / 'argparser.py').read_text(encoding='utf-8')
    shared = source[source.index('root_parser =') : source.index('subparsers =')]
    upstream = set(re.findall(r"'(--?[a-z][a-z-]*)'", shared)) | {'--init'}
    ours = set(start_options()._option_string_actions)
    assert len(upstream) > 20
    assert upstream - ours == set()


def test_version_needs_no_database(tmp_path):
    from label_studio import __version__

    done = subprocess.run(
        [PROGRAM, 'version', '--data-dir', str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    first, _, rest = done.stdout.partition('{')
    assert first.strip() == f'Label Studio version: {__version__}'
    assert json.loads('{' + rest)['release'] == __version__
    with contextlib.closing(sqlite3.connect(tmp_path / 'label_studio.sqlite3')) as database:
        assert database.execute('SELECT count(*) FROM sqlite_master').fetchone() == (0,)


def test_upstream_commands_run_with_our_settings(data_dir):
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': '/nowhere'}
    done = subprocess.run(
        [PROGRAM, 'user', '--username', 'nobody@example.org', '--data-dir', str(data_dir)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert "doesn't exist" in done.stdout, done.stderr
