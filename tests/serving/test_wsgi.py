"""The WSGI application under a web server of one's own."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.e2e.server import free_port


def test_any_wsgi_server_serves_the_application(data_dir):
    port = free_port()
    program = Path(sys.executable).parent / 'waitress-serve'
    process = subprocess.Popen(
        [program, '--threads=8', f'--port={port}', 'label_studio.ml_host.wsgi:application'],
        env={**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=10) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.3)
    finally:
        process.terminate()
        process.wait(20)
