"""The data directory, found and checked before Django's settings are read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

VARIABLE = 'LABEL_STUDIO_BASE_DATA_DIR'
# Folders that are written while people work, where they are there already. One may belong to another user: a start
# with sudo is enough.
WRITTEN = ('media', 'media/upload', 'ml', *(f'ml/{name}' for name in ('cache', 'logs', 'redis', 'versions', 'work')))
_WHAT_TO_DO = 'Choose another data directory with --data-dir DIRECTORY, or change its permissions.'


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


def data_dir(given: str | None = None) -> Path:
    """The directory named on the command line, by the environment, or upstream's default; nothing is made."""
    chosen = given or os.environ.get(VARIABLE) or os.environ.get('BASE_DATA_DIR')
    if not chosen:
        from appdirs import user_data_dir

        chosen = user_data_dir(appname='label-studio')
    return Path(chosen).expanduser().absolute()


def use_data_dir(given: str | None = None) -> Path:
    """Make, check and name the data directory for this process and its children, and read its ``.env``.

    Raises:
        DataDirError: It cannot be made or written.
    """
    directory = data_dir(given)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise DataDirError(
            f'The data directory {directory} cannot be written ({error.strerror or error}). {_WHAT_TO_DO}'
        ) from error
    for path in (directory / name for name in WRITTEN):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise DataDirError(f'{path} cannot be written. {_WHAT_TO_DO}')
    os.environ[VARIABLE] = str(directory)
    _read_env(directory / '.env')
    return directory


def _read_env(path: Path) -> None:
    if not path.is_file():
        return
    if not os.access(path, os.R_OK):
        raise DataDirError(f'{path} cannot be read. {_WHAT_TO_DO}')
    import environ

    environ.Env.read_env(str(path))


def log_dir(directory: Path) -> Path:
    """Folder with the runtime log and the training logs."""
    return directory / 'ml' / 'logs'


def redis_dir(directory: Path) -> Path:
    """Folder of the private Redis."""
    return directory / 'ml' / 'redis'
