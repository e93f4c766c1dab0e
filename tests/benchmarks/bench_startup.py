"""Start-up of `label-studio start` on an existing database, against unmodified upstream, and what it imports.

    UPSTREAM_COMMAND=/path/to/venv/bin/label-studio python tests/benchmarks/bench_startup.py

Both commands start in turns on a copy of the same database; the time ends with the first answer of /health.
The asked figure: at most 1.2 times upstream's time. Without UPSTREAM_COMMAND upstream's row is printed as absent.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 5


def free_port() -> int:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def start_once(program: str, data_dir: Path) -> float:
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith('LABEL_STUDIO_')}
    command = [program, 'start', '--no-browser', '--port', str(port), '--data-dir', str(data_dir)]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**environment, 'LATEST_VERSION_CHECK': 'false'},
        cwd=data_dir.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - begin < 180:
            try:
                urllib.request.urlopen(f'http://localhost:{port}/health', timeout=5).read()
                return time.perf_counter() - begin
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f'{program} did not answer')
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix='bench-start-'))
    ours = str(Path(sys.executable).parent / 'label-studio')
    upstream = os.environ.get('UPSTREAM_COMMAND')
    template = folder / 'template'
    template.mkdir()
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(template)}
    subprocess.run(
        [sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], env=environment, check=True, cwd=ROOT
    )
    programs = {'this fork': ours, **({'upstream': upstream} if upstream else {})}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for name in programs:
        shutil.copytree(template, folder / name.replace(' ', '-'))
        start_once(programs[name], folder / name.replace(' ', '-'))
    for _ in range(ROUNDS):
        for name, program in programs.items():
            times[name].append(start_once(program, folder / name.replace(' ', '-')))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f'{name:10} median {median:6.2f} s of {ROUNDS}  (min {min(times[name]):.2f})')
    if upstream:
        print(f'ratio {medians["this fork"] / medians["upstream"]:.2f} (<= 1.2)')
    else:
        print('upstream   absent: set UPSTREAM_COMMAND')


if __name__ == '__main__':
    main()
