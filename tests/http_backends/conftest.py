"""An ML backend behind HTTP, in this process, that can be told how to answer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from label_studio.ml_host.upstream import UpstreamMLBackend
from tests.pages.conftest import browser, press, sign_in  # noqa: F401

REGION = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}


class Model:
    """What it answers, and what it was asked: `asked` holds path and body."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.version = 'one'
        self.url = ''
        # Statuses of the next answers of /predict; 200 when there are none left.
        self.statuses: list[int] = []
        self.result = lambda task: {'result': [REGION], 'score': 0.75, 'model_version': self.version}
        self.results = lambda tasks: [self.result(task) for task in tasks]
        self.before_webhook = lambda: None
        self.webhook_status = 201

    def predicted(self) -> list[int]:
        """Sizes of the batches that it was asked for."""
        return [len(body['tasks']) for path, body in self.asked if path == '/predict']

    def answer(self, path: str, body: dict) -> tuple[int, object]:
        self.asked.append((path, body))
        if path == '/setup':
            return 200, {'model_version': self.version}
        if path == '/webhook':
            self.before_webhook()
            return self.webhook_status, {'status': 'ok', 'detail': 'no labels'}
        if path != '/predict':
            return 200, {'status': 'UP'}
        status = self.statuses.pop(0) if self.statuses else 200
        return status, {'results': self.results(body['tasks'])} if status == 200 else {'detail': 'out of memory'}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._send(*self.server.model.answer(self.path, {}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self._send(*self.server.model.answer(self.path, body))

    def _send(self, status, content):
        written = json.dumps(content).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def model(settings):
    """Its address is allowed by the setting, as one that somebody named."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.model = Model()
    server.model.url = f'http://localhost:{server.server_address[1]}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.ML_BLOCK_LOCAL_IP = True
    settings.SSRF_PROTECTION_ENABLED = True
    settings.ML_ALLOWED_BACKEND_URLS = [server.model.url]
    settings.ML_HTTP_BATCH = 8
    server.model.stop = lambda: (server.shutdown(), server.server_close())
    yield server.model
    server.shutdown()
    server.server_close()


@pytest.fixture
def connected(project, model):
    """The backend, connected to the project by its URL."""
    return UpstreamMLBackend.objects.create(project=project, url=model.url, title='mine')
