"""Which version of each backend this process predicts with while the one in service is still being loaded."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

from ml_plugins.runtime import ModelSpec

# A version that could not be loaded is tried again after so many seconds; the one before it goes on predicting.
REST_SECONDS = 30.0


class Served:
    """What was put to use last, by project and backend, and what could not be loaded lately."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int | None] = {}
        self._failed_at: dict[tuple[Any, ...], float] = {}
        self._lock = threading.Lock()

    def note(self, spec: ModelSpec) -> bool:
        """This process predicts with a model from now on; True when it was another version until now."""
        own = (spec.project_id, spec.plugin)
        with self._lock:
            is_change = self._numbers.get(own, spec.version_number) != spec.version_number
            self._numbers[own] = spec.version_number
            self._failed_at.pop(spec.key, None)
        return is_change

    def note_failure(self, spec: ModelSpec) -> None:
        """A model could not be loaded."""
        with self._lock:
            self._failed_at[spec.key] = time.monotonic()

    def is_resting(self, spec: ModelSpec) -> bool:
        """Whether a model could not be loaded a moment ago."""
        failed_at = self._failed_at.get(spec.key)
        return failed_at is not None and time.monotonic() - failed_at < REST_SECONDS

    def before(self, spec: ModelSpec) -> ModelSpec | None:
        """The same model in the version that was put to use last; None when that is the same one, or there is none.

        Its files are not known: it may be asked whether it is resident, not loaded.
        """
        with self._lock:
            # The first that is asked for is the one before all others.
            number = self._numbers.setdefault((spec.project_id, spec.plugin), spec.version_number)
        if number == spec.version_number:
            return None
        return replace(spec, version_number=number, version_files=None)

    def current(self, spec: ModelSpec) -> tuple[Any, ...]:
        """Key of the model that is put to use for the project and backend of a spec."""
        before = self.before(spec)
        return spec.key if before is None else before.key
