"""Do something with one backend after another: what goes wrong with one is said once, and left alone for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError

from label_studio.ml_host.models import ProjectBackend
from ml_plugins.exceptions import TrainingError

logger = logging.getLogger(__name__)

# While the queue or a backend cannot be used, it is tried again this often.
RETRY_SECONDS = 10.0


class Guard:
    """Remembers what went wrong with whom; used by one thread."""

    def __init__(self) -> None:
        self._complaints: dict[tuple[int, str], str] = {}
        self._retry_at: dict[tuple[int, str], float] = {}

    def run(self, row: ProjectBackend, what: str, action: Callable[[ProjectBackend], object]) -> None:
        """Call `action` with the row, unless it failed a moment ago.

        Args:
            row: The backend on a project.
            what: What is done with it, as in "cannot be … now".
            action: May raise anything.

        Raises:
            DatabaseError: That is nobody's fault in particular.
        """
        key = (row.pk, what)
        if self._retry_at.get(key, 0.0) > time.monotonic():
            return
        try:
            action(row)
        except DatabaseError:
            raise
        except Exception as error:
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
            self._say(row, what, error)
        else:
            self._complaints.pop(key, None)
            self._retry_at.pop(key, None)

    def _say(self, row: ProjectBackend, what: str, error: Exception) -> None:
        text = f'{type(error).__name__}: {error}'
        if self._complaints.get((row.pk, what)) != text:
            # A queue that is away is no defect.
            is_defect = not isinstance(error, TrainingError)
            logger.warning('%s cannot be %s now: %s', row, what, text, exc_info=error if is_defect else None)
        self._complaints[row.pk, what] = text
