"""Another Label Studio's calls, as its client writes them."""

import base64
import json

import pytest
from django.test import Client

from label_studio.ml_host.protocol import callers
from tests.conftest import CHOICES_CONFIG
from tests.pages.conftest import browser, sign_in  # noqa: F401

PROJECT = '7.1700000000'
PROJECT_OBJECT = {'id': 7, 'created_at': '2023-11-14T22:13:20.250000Z', 'label_config': CHOICES_CONFIG}
TASK = {'id': 501, 'data': {'image': 'data:image/gif;base64,R0lGODlhAQABAAAAACw='}, 'project': 7}
REGION = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['dog']}}


def basic(name: str, secret: str) -> str:
    return 'Basic ' + base64.b64encode(f'{name}:{secret}'.encode()).decode()


class Peer:
    """Calls one backend with credentials, or without."""

    def __init__(self, authorization: str = '', backend: str = 'constant') -> None:
        self.base = f'/ml/{backend}'
        self.headers = {'HTTP_AUTHORIZATION': authorization} if authorization else {}
        self._client = Client()

    def get(self, path: str, **query):
        return self._client.get(f'{self.base}{path}', query, **self.headers)

    def post(self, path: str, body):
        content = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self._client.post(f'{self.base}{path}', content, content_type='application/json', **self.headers)

    def setup(self, **more):
        body = {
            'project': PROJECT,
            'schema': CHOICES_CONFIG,
            'hostname': 'http://peer.example.org:8080',
            'access_token': 'abc',
            'extra_params': None,
        }
        return self.post('/setup', body | more)

    def predict(self, *tasks, context=None, **more):
        params = {'login': None, 'password': None, 'context': context}
        body = {'tasks': list(tasks) or [TASK], 'project': PROJECT, 'label_config': CHOICES_CONFIG, 'params': params}
        return self.post('/predict', body | more)

    def event(self, action: str, **payload):
        return self.post('/webhook', {'action': action, 'project': PROJECT_OBJECT, **payload})


@pytest.fixture
def password():
    return basic('owner@example.org', 'secret-pass')


@pytest.fixture
def peer(constant, owner, password):
    """The constant backend, called by the owner."""
    callers.forget()
    yield Peer(password)
    callers.forget()
