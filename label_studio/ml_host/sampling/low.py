"""Projects whose queue runs low, told in memory: whoever serves a task does not wait for new ones to be chosen."""

from __future__ import annotations

import threading

from label_studio.ml_host.prelabeling.wakeup import Bell

# Rings when a project was noted in this process.
bell = Bell()

_lock = threading.Lock()
_projects: set[int] = set()


def note(project_id: int) -> None:
    """Fewer tasks wait than there should be."""
    with _lock:
        if project_id in _projects:
            return
        _projects.add(project_id)
    bell.ring()


def take() -> set[int]:
    """The projects that were noted since the last time."""
    with _lock:
        found = set(_projects)
        _projects.clear()
    return found
