"""Log files below the data directory: one runtime log for all processes, one log for each training run."""

from __future__ import annotations

import copy
import fcntl
import logging
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

RUNTIME_LOG = 'runtime.log'
FORMAT = '%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s'
LOGGERS = ('ml_plugins', 'label_studio.ml_host')


# The file before it is kept beside it, so that twice as much is there at most.
MOST_BYTES = 20 * 1024 * 1024


class SharedFileHandler(WatchedFileHandler):
    """A file that several processes write; the one that finds it full puts it aside, and the others follow.

    Python's own rotating handler would rename what another process has just begun.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._make_room()
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _make_room(self) -> None:
        path = Path(self.baseFilename)
        if not _is_full(path):
            return
        with path.with_suffix('.lock').open('w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another process may have been quicker.
            if _is_full(path):
                path.replace(path.with_suffix('.1.log'))


def _is_full(path: Path) -> bool:
    try:
        return path.stat().st_size >= MOST_BYTES
    except FileNotFoundError:
        return False


class OneLine(logging.Formatter):
    """For the terminal: a record's first line, and where its traceback is."""

    def format(self, record: logging.LogRecord) -> str:
        first, _, more = record.getMessage().partition('\n')
        short = copy.copy(record)
        short.msg = f'{first} (traceback: label-studio logs)' if more.strip() or record.exc_info else first
        short.args = short.exc_info = short.exc_text = short.stack_info = None
        return super().format(short)


def logging_config(base: dict[str, Any], directory: Path, level: str = 'INFO') -> dict[str, Any]:
    """Upstream's logging configuration with our runtime log added.

    Args:
        base: A ``dictConfig`` dictionary; not changed.
        directory: Folder for the file; made if it is missing.
        level: Least level that goes into the file.
    """
    config = copy.deepcopy(base)
    config['formatters']['ml'] = {'format': FORMAT}
    config['formatters']['ml_short'] = {'()': OneLine, 'fmt': FORMAT}
    handlers = ['console']
    try:
        directory.mkdir(parents=True, exist_ok=True)
        config['handlers']['ml_file'] = {
            '()': SharedFileHandler,
            'filename': str(directory / RUNTIME_LOG),
            'formatter': 'ml',
            'level': level,
            'delay': True,
            'encoding': 'utf-8',
        }
        config['handlers']['ml_console'] = {
            'class': 'logging.StreamHandler',
            'formatter': 'ml_short',
            'level': 'WARNING',
        }
        handlers = ['ml_file', 'ml_console']
    except OSError:
        # A data directory that cannot be written is reported by the command; logging must not hide that.
        pass
    for name in LOGGERS:
        config['loggers'][name] = {'handlers': handlers, 'level': level, 'propagate': False}
    return config


def run_log_path(directory: Path, run_id: int) -> Path:
    """Log file of one training run."""
    return directory / f'training-{run_id}.log'
