"""The requests of docs/ml-backend-server.md, sent by curl to a real server."""

import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from label_studio.ml_host.launcher import web
from label_studio.ml_host.protocol import callers
from label_studio.ml_host.protocol.alone import without_pages
from tests.inline_plugins import ConstantBackend

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'ml-backend-server.md'
COMMANDS = [
    line[2:]
    for block in re.findall(r'^```console\n(.*?)^```$', PAGE.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith('$ curl -u')
]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which('curl') is None, reason='curl is not on PATH'),
]


@pytest.fixture
def ask(inline_plugins, owner):
    """A server with one backend; runs a documented command against it."""
    from django.core.wsgi import get_wsgi_application

    callers.forget()
    owner.email, owner.username = 'models@example.org', 'models'
    owner.set_password('secret-models')
    owner.save()
    inline_plugins('image_classifier', ConstantBackend)
    listening = web.listen('127.0.0.1', 0, without_pages(get_wsgi_application()))
    threading.Thread(target=listening.run, daemon=True).start()

    def run(command: str) -> dict:
        command = command.replace('localhost:9090', f'127.0.0.1:{listening.effective_port}')
        command = command.replace('curl ', 'curl --silent --show-error --max-time 60 ')
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield run
    listening.close()
    callers.forget()


def test_every_documented_request_is_answered(ask):
    health, predict, versions = COMMANDS
    assert ask(health) == {'status': 'UP', 'model_class': 'image_classifier'}
    (result,) = ask(predict)['results']
    assert result['result'][0]['value'] == {'choices': ['cat']}
    assert ask(versions) == {'versions': []}
    assert ask(health.replace('secret-models', 'wrong'))['code'] == 'credentials'
    assert ask(health.replace('/ml/image_classifier/health', '/user/login/'))['code'] == 'not_found'
