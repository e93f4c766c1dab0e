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
