"""Read from a database that may go away for a moment; hours of training do not end with a failover."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

T = TypeVar('T')

# Pauses before the next tries, in seconds; together longer than a restart or a failover takes.
PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 15.0)


def patiently(read: Callable[[], T]) -> T:
    """What `read` returns; it is called again when the database dropped the connection meanwhile.

    Raises:
        DatabaseError: The database stays away, or the error has nothing to do with the connection.
    """
    for pause in PAUSES:
        try:
            return read()
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or (connection.connection is not None and connection.is_usable()):
                raise
            logger.warning('The database dropped the connection (%s); it is tried again', str(error).strip())
            connection.close()
            time.sleep(pause)
    return read()
