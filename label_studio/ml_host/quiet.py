"""Keep off the terminal what upstream and its libraries say about themselves and nobody can act on.

``LOG_LEVEL=DEBUG`` (or ``INFO``) shows upstream's messages again, ``python -W always`` the warnings.
"""

from __future__ import annotations

import logging
import os
import warnings

from label_studio.ml_host.logs import LOGGERS

# Pattern and category of warnings.
WARNINGS: tuple[tuple[str, type[Warning]], ...] = (
    # Upstream asks whether a column exists while its serializers are imported.
    ('Accessing the database during app initialization', RuntimeWarning),
    # Upstream's pages of labels, whose order nobody asks for.
    ('Pagination may yield inconsistent results', RuntimeWarning),
    # Google's libraries about a Python that upstream and we support.
    ('You are using a (non-supported )?Python version', FutureWarning),
)
# Name of upstream's logger and how its message begins. Modules are known under two names.
MESSAGES: tuple[tuple[str, str], ...] = (
    # The key is made and kept in the data directory, which is what a first start should do.
    ('core.utils.secret_key', 'Warning: SECRET_KEY not found in environment variables'),
    ('core.label_config', 'Using deprecated method'),
)


class _Without(logging.Filter):
    """Drops what begins with a text."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self._beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(self._beginning)

    def __eq__(self, other: object) -> bool:
        # A logger takes an equal filter only once.
        return isinstance(other, _Without) and other._beginning == self._beginning

    __hash__ = None


class _HeldBack(logging.Handler):
    """Keeps what is logged while the settings are read, before the log file is known."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


_held_back = _HeldBack()


def hush() -> None:
    """Set up what is shown before upstream's own logging configuration stands, and leave out what says nothing."""
    for pattern, category in WARNINGS:
        # Last, so that a person's own filters win.
        warnings.filterwarnings('ignore', pattern, category, append=True)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not logger.handlers:
            # Gone as soon as logging is configured.
            logger.addHandler(_held_back)
            logger.propagate = False
    level = logging.getLevelName(os.environ.get('LOG_LEVEL', 'WARNING'))
    if isinstance(level, int):
        # Upstream's settings choose DEBUG, unless somebody has configured logging before.
        logging.basicConfig(level=level, format='%(message)s')
        if level < logging.WARNING:
            return
    for name, beginning in MESSAGES:
        for logger in (logging.getLogger(name), logging.getLogger(f'label_studio.{name}')):
            logger.addFilter(_Without(beginning))


def say_what_was_held_back() -> None:
    """Log what plugins and we said before logging was configured; called once it is."""
    records, _held_back.records = _held_back.records, []
    for record in records:
        logging.getLogger(record.name).handle(record)
