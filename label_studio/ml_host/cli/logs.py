"""``label-studio logs``: the runtime log, or the log of one training run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from label_studio.ml_host.launcher.data_dir import data_dir, log_dir
from label_studio.ml_host.logs import RUNTIME_LOG, run_log_path

POLL_SECONDS = 0.5


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='label-studio logs', description='Show the runtime log, or the log of a training run.'
    )
    parser.add_argument('--training', metavar='RUN', type=int, help='number of a training run')
    parser.add_argument('--follow', '-f', action='store_true', help='go on showing what is added')
    parser.add_argument('--lines', '-n', metavar='N', type=int, default=100, help='how many lines to show (100)')
    parser.add_argument('--data-dir', dest='data_dir', help='data directory of the server')
    return parser


def main(argv: list[str]) -> int:
    """Print the end of a log."""
    options = _parser().parse_args(argv)
    folder = log_dir(data_dir(options.data_dir))
    path = folder / RUNTIME_LOG if options.training is None else run_log_path(folder, options.training)
    if not path.is_file():
        print(_missing(folder, path, options.training), file=sys.stderr)
        return 1
    try:
        show(path, max(options.lines, 0), options.follow, sys.stdout)
    except (KeyboardInterrupt, BrokenPipeError):
        # The reader has had enough, of the log or of us.
        sys.stderr.close()
    return 0


def _missing(folder: Path, path: Path, run: int | None) -> str:
    if run is None:
        return f'There is no runtime log yet: {path}. Has the server run with this --data-dir?'
    runs = sorted(int(item.stem.removeprefix('training-')) for item in folder.glob('training-*.log'))
    listed = ', '.join(map(str, runs)) or 'none'
    return f'There is no log of training run {run} in {folder}. Runs with a log: {listed}'


def show(path: Path, lines: int, follow: bool, stream: TextIO) -> None:
    """Write the last lines, then what is added."""
    log = path.open(encoding='utf-8', errors='replace')
    try:
        stream.writelines(deque(log, maxlen=lines))
        stream.flush()
        while follow:
            if added := log.read():
                stream.write(added)
                stream.flush()
            elif _was_replaced(path, log):
                log.close()
                log = path.open(encoding='utf-8', errors='replace')
            else:
                time.sleep(POLL_SECONDS)
    finally:
        log.close()


def _was_replaced(path: Path, log: TextIO) -> bool:
    """Whether the file was put aside because it was full, or emptied by somebody."""
    try:
        now = path.stat()
    except OSError:
        return False
    return now.st_ino != os.fstat(log.fileno()).st_ino or now.st_size < log.tell()
