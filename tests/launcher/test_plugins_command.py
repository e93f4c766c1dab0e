"""`label-studio plugins`, as a person runs it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from label_studio.ml_host.cli.scaffold import create_plugin, kinds
from tests.installed_plugins import install_plugins

PROGRAM = Path(sys.executable).parent / 'label-studio'


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def test_list_names_what_is_installed():
    done = run('plugins', 'list', '--json')
    assert done.returncode == 0, done.stderr
    [row] = [row for row in json.loads(done.stdout) if row['name'] == 'image_classifier']
    assert (row['package'], row['state'], row['reason']) == ('label-studio', 'installed', '')


def test_check_tells_a_good_one_from_an_unknown_one(data_dir):
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir)}
    assert run('plugins', 'check', 'image_classifier', env=environment).returncode == 0
    done = run('plugins', 'check', 'nothing', env=environment)
    assert done.returncode == 1
    assert 'image_classifier' in done.stderr


def test_a_created_plugin_passes_its_own_tests_and_is_found(tmp_path):
    done = run('plugins', 'create', 'my_model', '--directory', tmp_path)
    assert done.returncode == 0, done.stderr
    package = tmp_path / 'my_model'
    tested = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', 'tests', '-p', 'no:cacheprovider', '-p', 'no:django'],
        cwd=package,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert tested.returncode == 0, tested.stdout
    site = tmp_path / 'site'
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-build-isolation', '--target', site, package]
    subprocess.run(list(map(str, pip)), check=True, capture_output=True)
    listed = json.loads(run('plugins', 'list', '--json', env={**os.environ, 'PYTHONPATH': str(site)}).stdout)
    assert ('my_model', 'my-model', 'installed') in {(row['name'], row['package'], row['state']) for row in listed}


def test_each_kind_of_plugin_passes_its_own_tests(tmp_path):
    made = [f'made_{kind}' for kind in kinds()]
    assert {'made_sklearn', 'made_torch', 'made_transformers', 'made_onnx', 'made_function', 'made_blank'} <= set(made)
    for name, kind in zip(made, kinds(), strict=True):
        create_plugin(name, tmp_path, kind)
    # All in one process: torch and scikit-learn are imported once.
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'pytest',
            '-q',
            '-rs',
            '--import-mode=importlib',
            '-p',
            'no:cacheprovider',
            '-p',
            'no:django',
        ]
        + [str(tmp_path / name / 'tests') for name in made],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(str(tmp_path / name) for name in made)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if find_spec('onnxruntime') and find_spec('transformers'):
        # Only then is no kind skipped.
        assert 'pip install' not in done.stdout


def test_the_kind_is_an_option_of_the_command_and_an_unknown_one_is_refused(tmp_path):
    done = run('plugins', 'create', 'my_digits', '--from', 'onnx', '--directory', tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'my_digits' / 'my_digits' / 'model.onnx').stat().st_size > 100
    assert 'onnxruntime' in (tmp_path / 'my_digits' / 'pyproject.toml').read_text()
    done = run('plugins', 'create', 'my_other', '--from', 'fortran', '--directory', tmp_path)
    assert done.returncode != 0
    assert 'sklearn' in done.stderr
    assert not (tmp_path / 'my_other').exists()


@pytest.mark.parametrize('name', ['My-Model', 'class', '1st'])
def test_a_bad_name_is_refused_with_an_example(tmp_path, name):
    done = run('plugins', 'create', name, '--directory', tmp_path)
    assert done.returncode == 1
    assert 'my_model' in done.stderr


def test_list_says_how_to_install_what_is_missing(tmp_path):
    path = install_plugins(tmp_path, 'mlp_broken')
    done = run('plugins', 'list', '--json', env={**os.environ, 'PYTHONPATH': str(path)})
    [row] = [row for row in json.loads(done.stdout) if row['name'] == 'broken_incomplete']
    assert row['state'] == 'incomplete'
    assert row['reason'].endswith("pip install 'mlp-broken[more]'")
