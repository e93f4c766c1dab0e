"""What this server asks another Label Studio for: labeled tasks, a token in exchange, and files."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LEGACY, PERSONAL, ACCESS = 'legacy', 'head.body.tail', 'minutes'


class OtherServer:
    """Its tasks and files; `asked` holds what came, as path and authorization."""

    def __init__(self) -> None:
        self.tasks: list[dict] = []
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.breaks_at_page = 0
        self.url = ''

    def label(self, number: int, annotation: int, choice: str = 'cat') -> None:
        value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [choice]}}
        self.tasks.append(
            {
                'id': number,
                'data': {'image': f'/data/upload/7/{number}.png'},
                'annotations': [{'id': annotation, 'result': [value], 'was_cancelled': False, 'ground_truth': False}],
            }
        )

    def answer(self, path: str, authorization: str) -> tuple[int, bytes, dict]:
        self.asked.append((path, authorization))
        parts = urlsplit(path)
        if parts.path in self.redirects:
            return 302, b'', {'Location': self.redirects[parts.path]}
        if parts.path.startswith('/public/'):
            return 200, self.files[parts.path], {}
        if authorization not in (f'Token {LEGACY}', f'Bearer {ACCESS}'):
            return 401, b'{}', {}
        if parts.path == '/api/tasks/':
            return self._page({key: values[0] for key, values in parse_qs(parts.query).items()})
        return (200, self.files[path], {}) if path in self.files else (404, b'', {})

    def _page(self, query: dict) -> tuple[int, bytes, dict]:
        assert (query['project'], query['fields']) == ('7', 'all')
        page, size = int(query['page']), int(query['page_size'])
        if page == self.breaks_at_page:
            return 500, b'', {}
        found = self.tasks[(page - 1) * size : page * size]
        return 200, json.dumps({'tasks': found, 'total': len(self.tasks)}).encode(), {}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._send(*self.server.other.answer(self.path, self.headers.get('Authorization', '')))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        known = self.path == '/api/token/refresh/' and body == {'refresh': PERSONAL}
        self._send(200 if known else 401, json.dumps({'access': ACCESS}).encode() if known else b'{}', {})

    def _send(self, status, content, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@contextmanager
def other_server():
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.other = OtherServer()
    server.other.url = f'http://127.0.0.1:{server.server_address[1]}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.other
    finally:
        server.shutdown()
        server.server_close()


def resolve_path(uri: str) -> str:
    return f'/projects/7/resolve/?fileuri={base64.urlsafe_b64encode(uri.encode()).decode().replace("=", "%3D")}'
