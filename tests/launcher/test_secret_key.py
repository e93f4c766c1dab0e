"""The key that signs sessions is one for all processes of a data directory, and outlasts a restart."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ASK = 'import label_studio.ml_host.bootstrap as b; b.prepare(); from django.conf import settings; '
CODE = ASK + 'print("KEY", settings.SECRET_KEY)'


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    inherited = {name: value for name, value in os.environ.items() if name != 'SECRET_KEY'}
    return subprocess.Popen(
        [sys.executable, '-c', CODE, *arguments],
        env={**inherited, 'LABEL_STUDIO_BASE_DATA_DIR': str(folder), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def keys(processes: Sequence[subprocess.Popen]) -> list[str]:
    """What each process signs with."""
    said = [process.communicate(timeout=120)[0] for process in processes]
    return [line.partition(' ')[2] for text in said for line in text.splitlines() if line.startswith('KEY ')]


def test_processes_that_start_together_on_an_empty_directory_share_a_key(tmp_path):
    together = keys([start(tmp_path) for _ in range(4)])
    assert len(together) == 4
    assert len({*together, *keys([start(tmp_path)])}) == 1
    assert (tmp_path / '.env').read_text().count('SECRET_KEY=') == 1
    assert (tmp_path / '.env').stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('in_file', [True, False], ids=['written by upstream', 'set by a person'])
def test_a_key_that_reads_like_a_variable_is_the_same_everywhere(tmp_path, in_file):
    given = '$0t@7c)v5cq&vf=e'
    if in_file:
        (tmp_path / '.env').write_text(f'\nSECRET_KEY={given}\n')
    environment = {} if in_file else {'SECRET_KEY': given}
    first, second = keys([start(tmp_path, **environment)]), keys([start(tmp_path, **environment)])
    assert first == second
    assert len(first[0]) >= 50


def test_a_key_may_stand_in_another_variable(tmp_path):
    assert keys([start(tmp_path, SECRET_KEY='$VAULT_KEY', VAULT_KEY='from-the-vault')]) == ['from-the-vault']


def test_an_empty_variable_hides_nothing(tmp_path):
    assert keys([start(tmp_path, SECRET_KEY='')]) == keys([start(tmp_path, SECRET_KEY='')])


def test_a_given_key_is_used_and_not_kept(tmp_path):
    assert keys([start(tmp_path, SECRET_KEY='given-by-a-person')]) == ['given-by-a-person']
    assert not (tmp_path / '.env').exists()


def test_a_line_that_stands_in_the_file_stays(tmp_path):
    (tmp_path / '.env').write_text('ML_DEVICE=cpu')
    [key] = keys([start(tmp_path)])
    assert (tmp_path / '.env').read_text().split() == ['ML_DEVICE=cpu', f'SECRET_KEY={key}']


def test_building_an_image_leaves_no_key_in_it(tmp_path):
    assert keys([start(tmp_path, 'collectstatic')])
    assert not (tmp_path / '.env').exists()
