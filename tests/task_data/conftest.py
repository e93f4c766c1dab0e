import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from label_studio.ml_host.task_data import cache
from ml_plugins import Task


def picture(color: str = 'red', size: tuple[int, int] = (32, 24), format: str = 'PNG') -> bytes:
    buffer = io.BytesIO()
    Image.new('RGB', size, color).save(buffer, format)
    return buffer.getvalue()


def huge_png(width: int = 20000, height: int = 10000) -> bytes:
    """A valid 1-bit PNG of 200 million pixels in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))

    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    row = b'\0' + bytes((width + 7) // 8)
    packer = zlib.compressobj(1)
    body = b''.join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', body) + chunk(b'IEND', b'')


class Site:
    """A web server on this machine; `pages` maps a path to status, headers and body."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], Any]] = {}
        self.asked: list[str] = []
        self.gate: threading.Event | None = None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                if site.gate is not None:
                    site.gate.wait(10)
                status, headers, body = site.pages.get(self.path.partition('?')[0], (404, {}, b'no such page'))
                if callable(body):
                    body(self)
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if 'Transfer' not in headers:
                    self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *args: object) -> None:
                # Clients that hang up are part of these tests.
                pass

        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]

    def put(self, path: str, body: bytes | Callable, status: int = 200, **headers: str) -> str:
        self.pages[path] = (status, headers, body)
        return self.url(path)

    def url(self, path: str) -> str:
        return f'http://127.0.0.1:{self.port}{path}'


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def task_settings(settings, tmp_path: Path):
    """Settings with a cache of their own, and fetching from this machine allowed."""
    settings.ML_CACHE_DIR = tmp_path / 'cache'
    settings.SSRF_PROTECTION_ENABLED = False
    settings.ML_FETCH_TIMEOUT = 5.0
    yield settings
    cache.shared_cache.cache_clear()


@pytest.fixture
def make():
    """Builders of contents and tasks."""
    return SimpleNamespace(
        picture=picture,
        huge_png=huge_png,
        task=lambda value, files=None: Task(id=7, data={'image': value}, project_id=1, files=files),
    )
