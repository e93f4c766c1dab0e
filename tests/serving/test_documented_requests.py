"""The requests of docs/prediction-service.md, sent by curl to a real server."""

import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from rest_framework.authtoken.models import Token

from label_studio.ml_host.enabling.services import enable
from label_studio.ml_host.launcher import web
from label_studio.ml_host.serving.service.direct import with_short_way
from tests.serving.brightness import Brightness, choice, picture

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'prediction-service.md'
COMMANDS = [
    line[2:]
    for block in re.findall(r'^```console\n(.*?)^```$', PAGE.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith('$ ')
]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not on PATH'),
]


@pytest.fixture
def server(inline_plugins, owner, project, tmp_path, monkeypatch):
    """A server with one backend; gives a function that runs a documented command against it."""
    from django.core.wsgi import get_wsgi_application

    owner.active_organization.jwt.legacy_api_tokens_enabled = True
    owner.active_organization.jwt.save()
    inline_plugins('image_classifier', Brightness)
    enable(project, 'image_classifier', owner)
    (tmp_path / 'cat.jpg').write_bytes(picture(255))
    (tmp_path / 'dog.jpg').write_bytes(picture(0))
    monkeypatch.setattr('label_studio.ml_host.task_data.urls._download', lambda url: [picture(255)])
    listening = web.listen('127.0.0.1', 0, with_short_way(get_wsgi_application()))
    threading.Thread(target=listening.run, daemon=True).start()
    token = Token.objects.get(user=owner).key

    def run(command: str) -> dict:
        command = command.replace('localhost:8080', f'127.0.0.1:{listening.effective_port}')
        command = command.replace('/projects/1/', f'/projects/{project.pk}/')
        done = subprocess.run(
            f'TOKEN={token}; {command.replace("curl ", "curl --silent --show-error --max-time 60 ")}',
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield run
    listening.close()


def test_every_documented_request_is_answered(server):
    assert len(COMMANDS) == 3
    single, plain, uploaded = (server(command) for command in COMMANDS)
    assert choice(single) == 'cat'
    assert plain['labels'][0]['label'] == 'cat'
    assert [choice(item) for item in uploaded['predictions']] == ['cat', 'dog']


def test_a_wrong_token_is_refused(server):
    answer = server(COMMANDS[0].replace('$TOKEN', 'wrong'))
    assert 'token' in json.dumps(answer).lower()


def test_the_usual_way_gives_the_same_answer(server):
    """A request with a foreign origin passes upstream's middleware."""
    assert server(COMMANDS[0]) == server(COMMANDS[0].replace('curl ', "curl -H 'Origin: http://example.org' ", 1))
