"""The private Redis: long paths, spaces, reuse, and its end with ours."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from label_studio.ml_host.launcher import redis
from label_studio.ml_host.launcher.redis_socket import LONGEST_PATH

HOLDER = """
import sys, time
from pathlib import Path
from label_studio.ml_host.launcher import redis
running = redis.start(Path(sys.argv[1]))
print(running.process.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_starts_in_a_long_path_with_spaces_and_keeps_what_was_stored(tmp_path):
    directory = tmp_path / ('a long name ' * 12) / 'ml' / 'redis'
    running = redis.start(directory)
    try:
        assert len(running.socket) <= LONGEST_PATH
        link = Path(running.socket).parent.parent
        assert link.stat().st_mode & 0o077 == 0
        Redis(unix_socket_path=running.socket).set('key', 'value')
    finally:
        running.stop()
    assert not link.exists()
    again = redis.start(directory)
    try:
        assert Redis(unix_socket_path=again.socket).get('key') == b'value'
    finally:
        again.stop()


def test_one_that_runs_is_used_and_not_ended(tmp_path):
    first = redis.start(tmp_path)
    try:
        second = redis.start(tmp_path)
        assert second.process is None
        second.stop()
        assert redis.answers(first.socket)
    finally:
        first.stop()
    assert redis.attach(tmp_path) is None


def test_a_folder_has_one_server_at_a_time(tmp_path):
    """Two would write into one append-only file."""
    first = redis.start(tmp_path)
    try:
        with pytest.raises(BlockingIOError):
            redis.spawn(first.command, tmp_path)
    finally:
        first.stop()
    again = redis.start(tmp_path)
    again.stop()


def test_of_two_that_start_at_once_one_uses_the_others(tmp_path, monkeypatch):
    first = redis.start(tmp_path)
    try:
        looked = []

        def not_there_at_first(directory):
            looked.append(directory)
            return None if len(looked) == 1 else attach(directory)

        attach = redis.attach
        monkeypatch.setattr(redis, 'attach', not_there_at_first)
        second = redis.start(tmp_path)
        assert second.process is None
        assert len(looked) == 2
    finally:
        first.stop()


def test_a_server_that_does_not_start_is_told_with_its_own_words(tmp_path):
    server = tmp_path / 'server'
    server.write_text('#!/bin/sh\necho "Fatal: no memory today"\nexit 1\n')
    server.chmod(0o755)
    with pytest.raises(redis.RedisServerError, match='no memory today'):
        redis.start(tmp_path / 'redis', str(server))


def test_no_server_at_all_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(redis, 'find_server', lambda: None)
    with pytest.raises(redis.RedisServerError, match='Install redis-server or valkey-server'):
        redis.start(tmp_path)


def test_the_server_on_the_path_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert Path(redis.find_server()).name in ('redis-server', 'valkey-server')
    valkey = tmp_path / 'valkey-server'
    valkey.touch(mode=0o755)
    assert redis.find_server() == str(valkey)


@pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')
def test_it_ends_when_its_parent_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    pid = int(holder.stdout.readline())
    assert is_alive(pid)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert wait_until(lambda: not is_alive(pid))
