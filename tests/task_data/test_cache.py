"""The cache of fetched files: bounded, oldest use out first, whole files only, one fetch for many readers."""

import os
import threading
import time
from pathlib import Path

import pytest

from label_studio.ml_host.task_data.cache import FileCache


def contents(cache: FileCache) -> int:
    return sum(path.stat().st_size for path in cache.folder.glob('*/*'))


def test_second_use_fetches_nothing(tmp_path: Path):
    cache = FileCache(tmp_path, 1000)
    first = cache.path('a', '.png', lambda: [b'one', b'two'])
    assert cache.path('a', '.png', lambda: pytest.fail('fetched again')) == first
    assert first.read_bytes() == b'onetwo'
    assert first.suffix == '.png'


def test_old_content_is_fetched_again(tmp_path: Path):
    cache = FileCache(tmp_path, 1000, max_age=60)
    path = cache.path('a', '', lambda: [b'old'])
    os.utime(path, (time.time(), time.time() - 61))
    assert cache.path('a', '', lambda: [b'new']).read_bytes() == b'new'


def test_oldest_use_is_evicted_first_and_the_bound_holds(tmp_path: Path):
    cache = FileCache(tmp_path, 1000)
    paths = [cache.path(f'{number}', '', lambda: [bytes(100)]) for number in range(9)]
    for age, path in enumerate(paths):
        os.utime(path, (time.time() - 100 + age, path.stat().st_mtime))
    cache.path('0', '', lambda: pytest.fail('fetched again'))
    for number in range(20, 24):
        cache.path(f'{number}', '', lambda: [bytes(100)])
        assert contents(cache) <= 1000
    assert paths[0].exists()
    assert not paths[1].exists()
    assert not paths[2].exists()


def test_what_an_earlier_process_left_counts(tmp_path: Path):
    for number in range(9):
        FileCache(tmp_path, 1000).path(f'{number}', '', lambda: [bytes(100)])
    cache = FileCache(tmp_path, 500)
    cache.path('new', '', lambda: [bytes(100)])
    assert contents(cache) <= 500


def test_broken_transfer_leaves_nothing(tmp_path: Path):
    def broken():
        yield b'half'
        raise RuntimeError('cut')

    cache = FileCache(tmp_path, 1000)
    with pytest.raises(RuntimeError):
        cache.path('a', '', broken)
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == []
    assert cache.path('a', '', lambda: [b'whole']).read_bytes() == b'whole'


def test_left_parts_are_swept(tmp_path: Path):
    part = tmp_path / 'ab' / 'tmp.part'
    part.parent.mkdir()
    part.write_bytes(b'x')
    os.utime(part, (0, 0))
    FileCache(tmp_path, 100).path('a', '', lambda: [b'y'])
    assert not part.exists()


def test_many_readers_cause_one_fetch(tmp_path: Path):
    cache = FileCache(tmp_path, 1000)
    fetched, read = [], []

    def fetch():
        fetched.append(1)
        time.sleep(0.2)
        yield b'content'

    threads = [threading.Thread(target=lambda: read.append(cache.path('a', '', fetch).read_bytes())) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [1]
    assert read == [b'content'] * 12


def test_writers_in_two_processes_do_not_mix(tmp_path: Path):
    caches = [FileCache(tmp_path, 10**6) for _ in range(4)]
    wrong = []

    def work(cache: FileCache, byte: int) -> None:
        for number in range(20):
            content = cache.path(f'{number}', '', lambda: [bytes([byte]) * 1000] * 3).read_bytes()
            if len(content) != 3000 or len(set(content)) != 1:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(cache, byte)) for byte, cache in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
