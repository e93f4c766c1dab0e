"""A web server on this machine that keeps what it is asked."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Site(BaseHTTPRequestHandler):
    def do_POST(self):
        content = self.rfile.read(int(self.headers['Content-Length']))
        self.server.asked.append((self.path, json.loads(content)))
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def local_site():
    """Gives a server with its ``url`` and ``asked``, the paths and bodies it was sent."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Site)
    server.asked = []
    server.url = f'http://localhost:{server.server_address[1]}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
