"""Children are started again with a growing pause, and none is left behind."""

import logging
import subprocess
import sys
import time

from label_studio.ml_host.launcher.supervisor import Backoff, Child, Supervisor


def spawner(code: str, spawned: list[float] | None = None):
    def spawn() -> subprocess.Popen:
        if spawned is not None:
            spawned.append(time.monotonic())
        return subprocess.Popen([sys.executable, '-S', '-c', code], start_new_session=True, stdout=subprocess.PIPE)

    return spawn


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_backoff_doubles_up_to_its_limit():
    backoff = Backoff(first=1, longest=60)
    assert [backoff.after(ends) for ends in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


def test_a_child_that_ends_is_started_again_later_each_time(caplog):
    spawned: list[float] = []
    supervisor = Supervisor(Backoff(first=0.4, longest=10))
    supervisor.add(Child('worker', spawner('raise SystemExit(3)', spawned)))
    with caplog.at_level(logging.WARNING, logger='label_studio.ml_host.launcher.supervisor'):
        supervisor.start()
        wait_for(lambda: len(spawned) >= 3)
        supervisor.stop()
    first, second = spawned[1] - spawned[0], spawned[2] - spawned[1]
    assert first >= 0.4 and second >= 0.8
    count = len(spawned)
    time.sleep(0.5)
    assert len(spawned) == count


def test_a_healthy_child_starts_again_from_the_first_pause():
    child = Child('worker', spawner('pass'), ends=5)
    supervisor = Supervisor(Backoff(first=1, longest=60, healthy=0.01))
    child.process = child.spawn()
    child.started_at = time.monotonic() - 1
    child.process.wait()
    supervisor._look_after(child)
    assert child.ends == 1
    assert child.process is None


def test_a_child_that_cannot_be_started_is_tried_later():
    def fail():
        raise OSError('no processes left')

    child = Child('worker', fail)
    Supervisor()._look_after(child)
    assert child.process is None
    assert child.start_at > time.monotonic()


def test_a_child_is_started_once_it_is_wanted():
    """Another server of the same data directory may run the private Redis."""
    wanted: list[bool] = []
    child = Child('queue', spawner('import time; time.sleep(60)'), is_wanted=lambda: bool(wanted))
    supervisor = Supervisor()
    supervisor.add(child)
    supervisor._look_after(child)
    assert child.process is None
    assert child.ends == 0
    wanted.append(True)
    child.start_at = 0
    supervisor._look_after(child)
    assert child.process.poll() is None
    supervisor.stop(timeout=5)


def test_stop_ends_the_ones_that_are_needed_last_and_kills_the_deaf():
    deaf = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)'
    children = [
        Child('queue', spawner('import time; print(1, flush=True); time.sleep(60)'), ends_last=True),
        Child('worker', spawner(deaf)),
    ]
    supervisor = Supervisor()
    processes = []
    for child in children:
        child.process = child.spawn()
        child.process.stdout.readline()
        processes.append(child.process)
        supervisor.add(child)
    supervisor.start()
    supervisor.stop(timeout=0.5)
    assert [process.returncode for process in processes] == [-15, -9]
