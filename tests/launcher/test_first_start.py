"""A first start in an empty data directory: what is asked and refused before the minute of preparing the database."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.launcher.server import Server
from tests.launcher.terminal import Terminal

PROGRAM = Path(sys.executable).parent / 'label-studio'
START = ('start', 'pets', '--init', '--template', 'image_classification', '--no-browser')
MODEL = ('--ml-backend-name', 'image_classifier')
PREPARING = 'Preparing the database'


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if 'REDIS' not in name and 'LABEL_STUDIO' not in name}
    return {**kept, 'LABEL_STUDIO_BASE_DATA_DIR': str(folder), 'TERM': 'xterm'}


@pytest.fixture
def terminal(tmp_path):
    opened: list[Terminal] = []

    def open_one(*arguments: str) -> Terminal:
        opened.append(Terminal([PROGRAM, *arguments], environment(tmp_path / 'data')))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command without a terminal."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_email_and_password_are_asked_for_first_and_again_when_they_cannot_be_used(terminal):
    person = terminal(*START, *MODEL)
    person.expect('Email: ')
    person.send('lead')
    person.expect('not an email address')
    person.expect('Email: ')
    person.send('Lead@Example.org')
    person.expect('Password for lead@example.org: ')
    person.send('short')
    person.expect('8 characters')
    person.expect('Password for lead@example.org: ')
    person.send('label-everything')
    person.expect('again: ')
    person.send('label-anything')
    person.expect('differ')
    person.expect('Password for lead@example.org: ')
    person.send('label-everything')
    person.expect('again: ')
    person.send('label-everything')
    before = person.expect(PREPARING)
    assert 'label-everything' not in person.text
    assert 'Warning' not in before
    person.process.send_signal(signal.SIGINT)
    assert person.end() == 0
    assert 'Traceback' not in person.text


@pytest.mark.parametrize(('key', 'status'), [(b'\x04', 1), (b'\x03', 0)], ids=['ctrl-d', 'ctrl-c'])
def test_who_does_not_answer_leaves_nothing_behind(terminal, key, status):
    person = terminal(*START)
    person.expect('Email: ')
    person.press(key)
    assert person.end() == status
    assert 'Traceback' not in person.text
    assert PREPARING not in person.text


def test_nobody_to_ask(tmp_path):
    done = run(tmp_path / 'data', *START)
    assert done.returncode == 1
    assert '--username' in done.stderr and '--password' in done.stderr
    assert PREPARING not in done.stderr


def test_a_user_who_could_not_log_in_is_refused(tmp_path):
    done = run(tmp_path / 'data', *START, '--username', 'lead', '--password', 'label-everything')
    assert done.returncode == 1
    assert '--username' in done.stderr and '"lead"' in done.stderr
    assert PREPARING not in done.stderr


def test_a_backend_that_cannot_serve_the_template_is_refused(tmp_path):
    named = ('--username', 'lead@example.org', '--password', 'label-everything')
    done = run(tmp_path / 'data', 'start', 'texts', '--init', '--template', 'named_entity_recognition', *MODEL, *named)
    assert done.returncode == 1
    assert '<Labels> on <Text>' in done.stderr
    assert PREPARING not in done.stderr


def test_a_project_that_is_not_to_be_made_is_not_there(tmp_path):
    done = run(tmp_path / 'data', 'start', 'pets')
    assert done.returncode == 1
    assert 'There is no project "pets"' in done.stderr and '--init' in done.stderr
    assert PREPARING not in done.stderr


def test_upstreams_commands_show_the_progress_too(terminal):
    person = terminal('init', 'pets', '--username', 'lead@example.org', '--password', 'label-everything')
    person.expect(PREPARING)
    person.expect(' 1/')
    person.process.terminate()
    person.end()
    assert 'Traceback' not in person.text


def test_a_token_that_will_be_refused_is_said_to_be(data_dir):
    token = ('--user-token', 'a' * 40)
    named = ('--username', 'lead@example.org', '--password', 'label-everything')
    server = Server(data_dir, *named, *token)
    try:
        assert any('--enable-legacy-api-token' in line for line in server.lines)
        request = urllib.request.Request(
            f'http://localhost:{server.port}/api/projects/', headers={'Authorization': f'Token {"a" * 40}'}
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)
        assert caught.value.code == 401
    finally:
        server.process.terminate()
        server.process.wait(30)
