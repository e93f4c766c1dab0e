"""The log file of one run: what the plugin logs, prints and reports, with times."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

logger = logging.getLogger(__name__)

# A plugin that prints without end must not fill the disk.
MAX_BYTES = 20 * 1024 * 1024
_LIBRARIES = ('rq', 'django', 'urllib3', 'PIL', 'matplotlib')


class RunLog:
    """Appends lines to a file; a disk that is full never stops the training from here.

    Args:
        path: The file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._left = MAX_BYTES
        self._stream: TextIO | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open('a', encoding='utf-8', errors='backslashreplace')
        except OSError as error:
            logger.warning('The log of a training run cannot be written: %s', error)

    def write(self, message: str) -> None:
        """Append one message with the time, in UTC."""
        stamp = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M:%S')
        text = ''.join(f'{stamp} {line}\n' for line in str(message).splitlines() or [''])
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._stream is None or self._left <= 0:
                return
            self._left -= len(text)
            self._stream.write(text if self._left > 0 else f'{stamp} The log is full; the rest is left out.\n')
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock, contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.close()


class _Printed(io.TextIOBase):
    """Stands in for stdout: whole lines go into the log, of a progress bar only its last state."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._rest = ''

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = (self._rest + text).split('\n')
        self._rest = rest.rpartition('\r')[2]
        for line in lines:
            if shown := line.rstrip('\r').rpartition('\r')[2].rstrip():
                self._log.write(shown)
        return len(text)

    def finish(self) -> None:
        if self._rest.strip():
            self.write('\n')


class _Handler(logging.Handler):
    def __init__(self, log: RunLog) -> None:
        super().__init__(logging.INFO)
        self._log = log
        self.setFormatter(logging.Formatter('%(levelname)s %(name)s: %(message)s'))

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and record.name.partition('.')[0] in _LIBRARIES:
            return
        try:
            self._log.write(self.format(record))
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def captured(log: RunLog, package: str) -> Iterator[None]:
    """While it lasts, logging of the plugin's package and of the root, stdout and stderr go into the log.

    Args:
        log: Where to.
        package: The plugin's top package; its INFO messages are let through.
    """
    handler = _Handler(log)
    own = logging.getLogger(package)
    level = own.level
    loggers = [logging.getLogger()]
    # A logger that keeps its messages to itself needs the handler too.
    loggers += [logger for logger in {own, logging.getLogger('ml_plugins')} if not logger.propagate]
    if own.getEffectiveLevel() > logging.INFO:
        own.setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(handler)
    out, err = _Printed(log), _Printed(log)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        own.setLevel(level)
        out.finish()
        err.finish()
