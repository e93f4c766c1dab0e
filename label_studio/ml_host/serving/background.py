"""What a web process does besides answering: bulk runs, learning, choosing tasks, new versions; people go first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from label_studio.ml_host.learning import watcher
from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.prelabeling import conductor
from label_studio.ml_host.prelabeling.courtesy import polite
from label_studio.ml_host.sampling import keeper
from label_studio.ml_host.sampling.findings import watcher as findings
from label_studio.ml_host.serving import listener

# Servers that fork their workers from a loaded application do so by then.
START_SECONDS = 3.0

Application = Callable[..., Iterable[bytes]]

_listeners = PerProcess(listener.listening)


def start() -> None:
    """Start it all unless it runs in this process already."""
    conductor.start()
    watcher.start()
    keeper.start()
    findings.start()
    _listeners.start()


def stop() -> None:
    """Stop working and give everything back; the listener has nothing to give back and ends with the process."""
    findings.stop()
    keeper.stop()
    watcher.stop()
    conductor.stop()


def serving(application: Application) -> Application:
    """The application of a web process, which does all this from now on.

    A server that loads the application and then forks its workers from it must not be given threads before: there the
    first request that a worker answers begins it, and the process that only forks never does.
    """
    timer = threading.Timer(START_SECONDS, start)
    timer.daemon = True
    timer.start()
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_parent=timer.cancel)
    answer = polite(application)
    process = None

    def first(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        nonlocal process
        if process != os.getpid():
            process = os.getpid()
            start()
        return answer(environ, start_response)

    return first
