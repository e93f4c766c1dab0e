"""Several web servers may start on one empty database at once; one of them migrates it, the others wait."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

logger = logging.getLogger(__name__)

# Any number that other users of the database are unlikely to lock.
KEY = 7_204_551_086
POLL_SECONDS = 1.0


@contextlib.contextmanager
def alone(database: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Hold the database's migration lock; on SQLite, which belongs to one machine, there is none."""
    connection = connections[database]
    if connection.vendor != 'postgresql':
        yield
        return
    told = False
    # Asked again and again: a statement that waits would hold up the indexes which migrations build concurrently.
    while not _ask(connection, 'SELECT pg_try_advisory_lock(%s)'):
        if not told:
            logger.warning('Another server prepares the database; this one waits for it')
            told = True
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        # A connection that broke has lost the lock already.
        with contextlib.suppress(DatabaseError):
            _ask(connection, 'SELECT pg_advisory_unlock(%s)')


def _ask(connection, statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [KEY])
        return bool(cursor.fetchone()[0])
