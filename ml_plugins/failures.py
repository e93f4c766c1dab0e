"""Record what went wrong in a plugin, in one place, whatever stage it happened in."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback as traceback_module
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum

from ml_plugins.plain import storable_text

logger = logging.getLogger(__name__)


class Stage(str, Enum):
    """Where in a plugin's life a problem happened."""

    IMPORT = 'import'
    VALIDATE = 'validate'
    MODELS = 'models'
    READY = 'ready'
    MIGRATE = 'migrate'
    URLS = 'urls'
    CHECK = 'check'
    RENDER = 'render'
    SETUP = 'setup'
    PREDICT = 'predict'
    # The data of one task cannot be read: nothing of the plugin is broken.
    TASK = 'task'
    FIT = 'fit'
    # What a model has to say that is no failure.
    NOTICE = 'notice'


# Stages in which nothing of the plugin is broken.
REMARKS = frozenset({Stage.TASK, Stage.NOTICE})

# Stages of the start of a process: a plugin that failed one of them is not used at all.
LOAD_STAGES = frozenset({Stage.IMPORT, Stage.VALIDATE, Stage.MODELS, Stage.READY, Stage.MIGRATE})


@dataclass(frozen=True)
class PluginFailure:
    """One recorded problem.

    Attributes:
        plugin: The plugin's name.
        stage: Where it happened.
        error: One line: kind and message of the exception.
        traceback: The whole traceback, or an empty string.
        project_id: The project it happened for, or None.
        at: When, in UTC.
    """

    plugin: str
    stage: Stage
    error: str
    traceback: str = ''
    project_id: int | None = None
    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


class FailureLog:
    """The latest failures of this process, and listeners that keep them elsewhere."""

    def __init__(self, size: int = 500) -> None:
        self._failures: deque[PluginFailure] = deque(maxlen=size)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._listeners: list[Callable[[PluginFailure], None]] = []
        self._lock = threading.Lock()

    def listen(self, listener: Callable[[PluginFailure], None]) -> None:
        """Call `listener` with each new failure; a listener that raises is logged and skipped."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners.append(listener)

    def stop_listening(self, listener: Callable[[PluginFailure], None]) -> None:
        """Undo `listen`."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def record(self, failure: PluginFailure) -> None:
        """Keep one failure, log it, and tell the listeners."""
        with self._lock:
            self._failures.append(failure)
            if failure.stage is not Stage.NOTICE:
                self._counts[failure.plugin, failure.stage.value] += 1
            listeners = list(self._listeners)
        if failure.stage is Stage.TASK:
            logger.warning('No prediction of %s: %s', failure.plugin, failure.error)
        elif failure.stage is Stage.NOTICE:
            logger.warning('%s: %s', failure.plugin, failure.error)
        else:
            logger.error(
                'Plugin %s failed in stage %s: %s\n%s',
                failure.plugin,
                failure.stage.value,
                failure.error,
                failure.traceback,
            )
        for listener in listeners:
            try:
                listener(failure)
            except Exception:
                logger.exception('A failure could not be handed on')

    def of(self, plugin: str) -> list[PluginFailure]:
        """Failures of one plugin, oldest first."""
        with self._lock:
            return [failure for failure in self._failures if failure.plugin == plugin]

    def counts(self) -> Counter[tuple[str, str]]:
        """How many failures there were since the process started, by plugin and stage."""
        with self._lock:
            return Counter(self._counts)

    def clear(self) -> None:
        """Forget everything, for tests."""
        with self._lock:
            self._failures.clear()
            self._counts.clear()


failure_log = FailureLog()


def describe(error: BaseException) -> str:
    """Kind and message of an exception in one line."""
    message = storable_text(' '.join(str(error).split()))
    return f'{type(error).__name__}: {message}' if message else type(error).__name__


def record_failure(plugin: str, stage: Stage, error: BaseException, project_id: int | None = None) -> PluginFailure:
    """Record an exception with its traceback."""
    text = ''.join(traceback_module.format_exception(type(error), error, error.__traceback__))
    failure = PluginFailure(plugin, stage, describe(error), storable_text(text), project_id)
    failure_log.record(failure)
    return failure


@contextlib.contextmanager
def guarded(plugin: str, stage: Stage, project_id: int | None = None) -> Iterator[None]:
    """Run a piece of plugin code so that what it raises is recorded and goes no further."""
    try:
        yield
    except (Exception, SystemExit) as error:
        record_failure(plugin, stage, error, project_id)
