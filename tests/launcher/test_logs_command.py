"""`label-studio logs`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from label_studio.ml_host.cli import logs

PROGRAM = Path(sys.executable).parent / 'label-studio'


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'ml' / 'logs'
    folder.mkdir(parents=True)
    (folder / 'runtime.log').write_text(''.join(f'line {number}\n' for number in range(200)))
    (folder / 'training-7.log').write_text('epoch 1\nepoch 2\n')
    return folder


def show(folder, *arguments):
    return logs.main([*arguments, '--data-dir', str(folder.parent.parent)])


def test_the_end_of_the_runtime_log(folder, capsys):
    assert show(folder, '--lines', '2') == 0
    assert capsys.readouterr().out == 'line 198\nline 199\n'


def test_the_log_of_a_run(folder, capsys):
    assert show(folder, '--training', '7') == 0
    assert capsys.readouterr().out == 'epoch 1\nepoch 2\n'


def test_a_run_without_a_log_lists_the_others(folder, capsys):
    assert show(folder, '--training', '8') == 1
    assert 'Runs with a log: 7' in capsys.readouterr().err


def test_no_log_yet(tmp_path, capsys):
    assert logs.main(['--data-dir', str(tmp_path)]) == 1
    assert 'no runtime log yet' in capsys.readouterr().err


def test_follow_shows_what_is_added_and_ends_by_ctrl_c(folder):
    path = folder / 'training-7.log'
    command = [PROGRAM, 'logs', '--training', '7', '--follow', '--data-dir', str(folder.parent.parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout.readline() == 'epoch 1\n'
        assert process.stdout.readline() == 'epoch 2\n'
        with path.open('a') as log:
            log.write('epoch 3\n')
        assert process.stdout.readline() == 'epoch 3\n'
        process.send_signal(2)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_follow_goes_on_when_the_file_is_put_aside(folder):
    path = folder / 'runtime.log'
    command = [PROGRAM, 'logs', '--follow', '--lines', '1', '--data-dir', str(folder.parent.parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout.readline() == 'line 199\n'
        path.rename(folder / 'runtime.1.log')
        path.write_text('a new file\n')
        assert process.stdout.readline() == 'a new file\n'
    finally:
        process.kill()
        process.wait()


WRITE = """
import logging, sys
from label_studio.ml_host import logs
logs.MOST_BYTES = 20_000
handler = logs.SharedFileHandler(sys.argv[1])
for number in range(150):
    handler.handle(logging.makeLogRecord({'msg': f'{sys.argv[2]} {number} ' + 'x' * 50}))
"""


def test_several_processes_share_a_log_that_stays_small(tmp_path):
    path = tmp_path / 'runtime.log'
    writers = [subprocess.Popen([sys.executable, '-c', WRITE, path, name]) for name in 'abc']
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    older = tmp_path / 'runtime.1.log'
    lines = [line.split()[:2] for file in (older, path) for line in file.read_text().splitlines()]
    # 450 lines of about 57 bytes: one file was put aside, none written over, nothing lost.
    assert sorted(lines) == sorted([name, str(number)] for name in 'abc' for number in range(150))
    assert max(file.stat().st_size for file in (older, path)) < 21_000
