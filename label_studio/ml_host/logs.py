"""Log files below the data directory: one runtime log for all processes, one log for each training run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

RUNTIME_LOG = 'runtime.log'


def logging_config(base: dict[str, Any], directory: Path, level: str = 'INFO') -> dict[str, Any]:
    """Upstream's logging configuration with our runtime log added.

    Args:
        base: A ``dictConfig`` dictionary; not changed.
        directory: Folder for the file; made if it is missing.
        level: Least level that goes into the file.
    """
    config = copy.deepcopy(base)
    config['formatters']['ml'] = {'format': '%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s'}
    handlers = ['console']
    try:
        directory.mkdir(parents=True, exist_ok=True)
        config['handlers']['ml_file'] = {
            'class': 'logging.FileHandler',
            'filename': str(directory / RUNTIME_LOG),
            'formatter': 'ml',
            'level': level,
            'delay': True,
            'encoding': 'utf-8',
        }
        config['handlers']['ml_console'] = {
            'class': 'logging.StreamHandler',
            'formatter': 'ml',
            'level': 'WARNING',
        }
        handlers = ['ml_file', 'ml_console']
    except OSError:
        # A data directory that cannot be written is reported by the command; logging must not hide that.
        pass
    for name in ('ml_plugins', 'label_studio.ml_host'):
        config['loggers'][name] = {'handlers': handlers, 'level': level, 'propagate': False}
    return config


def run_log_path(directory: Path, run_id: int) -> Path:
    """Log file of one training run."""
    return directory / f'training-{run_id}.log'
