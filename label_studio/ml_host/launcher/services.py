"""What runs beside the web server, started and ended as one: private Redis, workers, listeners."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType

from label_studio.ml_host.launcher.data_dir import VARIABLE, log_dir
from label_studio.ml_host.launcher.supervisor import Child, Supervisor, end
from label_studio.ml_host.queues import SOCKET_VARIABLE, redis_is_configured

logger = logging.getLogger(__name__)

WORKERS_VARIABLES = ('LABEL_STUDIO_ML_WORKERS', 'ML_WORKERS')
RECOVER_SECONDS = 30.0
# A worker takes seconds of processor time to start; the first page is answered before that.
FIRST_PAGE_SECONDS = 2.0
# Threads of plugins may keep an interpreter from ending; the process then ends without them.
LAST_WORD_SECONDS = 5.0
# Upstream changes the directory of the process for a moment when it tells its version, and two who ask at once leave it
# changed for good. In upstream's `core`, where `redis` is another module, no worker would start.
STARTED_IN = Path.cwd()
WORKER_LOG = 'worker.log'
LARGEST_LOG = 5 * 1024**2


def exit_on_signals() -> None:
    """SIGINT, SIGTERM and a closed terminal end the main thread with `SystemExit`, once."""

    def stop(number: int, frame: FrameType | None) -> None:
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(0)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        # nohup asks to go on without a terminal.
        signal.signal(signal.SIGHUP, stop)


class Services:
    """A context: what was started in it is ended with it, workers first, then Redis."""

    def __init__(self) -> None:
        self._redis = None
        self._redis_child: Child | None = None
        self._supervisor = Supervisor()
        self._has_served = False

    def __enter__(self) -> Services:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._has_served:
            _say_stopping()
            from label_studio.ml_host.serving import background

            background.stop()
        self._supervisor.stop()
        if self._redis_child is not None and self._redis_child.process is not None:
            end(self._redis_child.process)
        if self._redis is not None:
            self._redis.stop()
        if self._has_served:
            code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else int(bool(error))
            timer = threading.Timer(LAST_WORD_SECONDS, os._exit, [code])
            timer.daemon = True
            timer.start()

    def start_redis(self, directory: Path) -> None:
        """Start the private Redis unless the person has configured one, and name it for settings and workers."""
        if redis_is_configured(os.environ):
            return
        from label_studio.ml_host.launcher import redis

        try:
            self._redis = redis.start(directory)
        except redis.RedisServerError as error:
            sys.stderr.write(f'Warning: {error}\n')
            return
        os.environ[SOCKET_VARIABLE] = self._redis.socket
        # One that another server of this data directory runs becomes ours when that server ends.
        socket, command = self._redis.socket, self._redis.command
        self._redis_child = Child(
            'private Redis',
            lambda: redis.spawn(command, directory),
            self._redis.process,
            ends_last=True,
            is_wanted=lambda: not redis.answers(socket),
        )

    def start_background(self) -> None:
        """Start workers and threads; called once the server listens."""
        self._has_served = True
        if self._redis_child is not None:
            self._supervisor.add(self._redis_child)
        if self._redis is not None or redis_is_configured(os.environ):
            start_at = time.monotonic() + FIRST_PAGE_SECONDS
            for number in range(1, worker_count() + 1):
                self._supervisor.add(Child(f'training worker {number}', _spawn_worker, start_at=start_at))
        self._supervisor.start()
        threading.Thread(target=_recover_for_ever, name='recover-runs', daemon=True).start()
        from label_studio.ml_host.serving import background

        background.start()


def _say_stopping() -> None:
    """A training run takes seconds to hand back; a terminal shows ^C on the line before."""
    with contextlib.suppress(OSError):
        sys.stdout.write('\n' * sys.stdout.isatty() + 'Label Studio is stopping.\n')
        sys.stdout.flush()


def worker_count() -> int:
    """How many workers this server runs itself."""
    name = next((name for name in WORKERS_VARIABLES if name in os.environ), '')
    value = os.environ.get(name, '1')
    try:
        return max(0, int(value))
    except ValueError:
        logger.warning('%s=%r is not a number; one worker is started', name, value)
        return 1


def _spawn_worker() -> subprocess.Popen:
    command = [sys.executable, '-m', 'label_studio.ml_host.cli', 'worker', '--supervised', str(os.getpid())]
    path = log_dir(Path(os.environ[VARIABLE])) / WORKER_LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 'wb' if path.exists() and path.stat().st_size > LARGEST_LOG else 'ab'
    with path.open(mode) as log:
        return subprocess.Popen(
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=STARTED_IN if STARTED_IN.is_dir() else None,
        )


def _recover_for_ever() -> None:
    time.sleep(FIRST_PAGE_SECONDS)
    from django.db import close_old_connections

    from label_studio.ml_host.analysis.recovery import recover_lost
    from label_studio.ml_host.training.runs import recover_lost_runs

    while True:
        try:
            recover_lost_runs()
            recover_lost()
        except Exception:
            logger.exception('Lost training runs could not be looked for')
        finally:
            close_old_connections()
        time.sleep(RECOVER_SECONDS)
