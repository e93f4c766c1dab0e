"""Pictures on a web server of the tests: good ones, and every bad kind there is."""

import contextlib
import io
import random
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COLOURS = {'red': (200, 40, 40), 'blue': (40, 40, 200)}


def picture(colour: str, seed: int, kind: str = 'PNG') -> bytes:
    """A small picture of one colour with noise in it."""
    from PIL import Image

    noise = random.Random(seed)
    pixels = bytes(
        max(0, min(255, level + noise.randrange(-30, 30))) for _ in range(48 * 48) for level in COLOURS[colour]
    )
    content = io.BytesIO()
    Image.frombytes('RGB', (48, 48), pixels).save(content, kind)
    return content.getvalue()


def huge_png() -> bytes:
    """A valid PNG of 200 megapixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', 20_000, 10_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501 * 10_000))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def files() -> dict[str, tuple[str, bytes]]:
    """Type and content by path; every other path answers 404."""
    jpeg = picture('red', 99, 'JPEG')
    found = {
        '/page.png': ('text/html', b'<!doctype html><html><body>Please sign in</body></html>'),
        '/huge.png': ('image/png', huge_png()),
        '/cut.jpg': ('image/jpeg', jpeg[: len(jpeg) * 2 // 3]),
    }
    for colour in COLOURS:
        found |= {f'/{colour}-{seed}.png': ('image/png', picture(colour, seed)) for seed in range(4)}
    return found


class _Site(BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.server.files.get(self.path)
        if found is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Type', found[0])
        self.send_header('Content-Length', str(len(found[1])))
        self.send_header('Access-Control-Allow-Origin', '*')
        self.end_headers()
        self.wfile.write(found[1])

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def picture_site():
    """Gives the address of a running web server with these pictures."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Site)
    server.files = files()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://localhost:{server.server_address[1]}'
    finally:
        server.shutdown()
        server.server_close()
