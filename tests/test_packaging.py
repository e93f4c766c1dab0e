"""The distribution: what is in the wheel, and installing, upgrading and uninstalling it, with pip and with uv."""

import base64
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = [pytest.mark.packaging, pytest.mark.slow]

ROOT = Path(__file__).resolve().parent.parent
INNER = 'label_studio/_upstream/'


def run(*command: object, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, f'{command}\n{done.stdout}\n{done.stderr}'
    return done.stdout


def checkout(target: Path) -> Path:
    """A copy of the files that git knows or would add, as a fresh clone has them."""
    names = run('git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z', cwd=ROOT).split('\0')
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


@pytest.fixture(scope='module')
def upstream_wheel(tmp_path_factory) -> Path:
    """The pinned release as it is published."""
    if given := os.environ.get('LABEL_STUDIO_WHEEL'):
        return Path(given)
    folder = tmp_path_factory.mktemp('upstream')
    pip = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes']
    run(*pip, '-r', ROOT / 'upstream.txt', '-d', folder)
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> Path:
    return checkout(tmp_path_factory.mktemp('checkout'))


@pytest.fixture(scope='module')
def wheel(source, upstream_wheel, tmp_path_factory) -> Path:
    """Built from a clean checkout."""
    target = tmp_path_factory.mktemp('dist')
    pip = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '--no-index']
    run(*pip, '-w', target, source, env={**os.environ, 'LABEL_STUDIO_WHEEL': str(upstream_wheel)})
    return next(target.glob('label_studio-*.whl'))


@pytest.fixture(scope='module')
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path, file_name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (
            name for name in archive.namelist() if name.endswith(f'.dist-info/{file_name}') and INNER not in name
        )
        return archive.read(name).decode()


# --- What is in it ---------------------------------------------------------------------------------------------------


def test_upstream_is_inside_verbatim(wheel, upstream_wheel):
    with zipfile.ZipFile(upstream_wheel) as theirs, zipfile.ZipFile(wheel) as ours:
        record = next(name for name in theirs.namelist() if name.endswith('.dist-info/RECORD'))
        rows = list(csv.reader(io.StringIO(theirs.read(record).decode())))
        assert len(rows) > 2000
        inside = {name.removeprefix(INNER) for name in ours.namelist() if name.startswith(INNER)}
        assert inside - {name for name, *_ in rows} == {'.unpacked-from'}
        for name, digest, _size in rows:
            if digest:
                found = base64.urlsafe_b64encode(hashlib.sha256(ours.read(INNER + name)).digest()).rstrip(b'=')
                assert digest == f'sha256={found.decode()}', name


def test_every_file_of_ours_is_inside(names, source):
    folders = [source / 'ml_plugins', source / 'label_studio' / 'ml_host']
    expected = {
        path.relative_to(source).as_posix()
        for folder in folders
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }
    assert expected - names == set()
    outside = {name for name in names if not name.startswith((INNER, 'label_studio-'))}
    assert outside - expected == {'label_studio/__init__.py'}


def test_pages_are_inside(names):
    assert any(name.startswith('label_studio/ml_host/templates/') for name in names)
    assert any(name.startswith('label_studio/ml_host/static/') for name in names)


def test_entry_points(wheel):
    text = metadata(wheel, 'entry_points.txt')
    assert 'label-studio = label_studio.ml_host.cli:main' in text
    assert 'image_classifier = ml_plugins.contrib.image_classifier.apps:ImageClassifierConfig' in text


def test_requirements_are_upstreams_and_ours(wheel, upstream_wheel):
    from packaging.requirements import Requirement

    theirs = Parser().parsestr(metadata(upstream_wheel, 'METADATA')).get_all('Requires-Dist')
    headers = Parser().parsestr(metadata(wheel, 'METADATA'))
    found = {str(Requirement(line)) for line in headers.get_all('Requires-Dist')}
    assert {str(Requirement(line)) for line in theirs if 'extra ==' not in line} <= found
    assert {'torch==2.13.0', 'torchvision==0.28.0'} <= found
    assert headers['Requires-Python'] == Parser().parsestr(metadata(upstream_wheel, 'METADATA'))['Requires-Python']


def test_version_is_a_local_one_and_licenses_are_inside(wheel, names, upstream_wheel):
    theirs = Parser().parsestr(metadata(upstream_wheel, 'METADATA'))['Version']
    assert Parser().parsestr(metadata(wheel, 'METADATA'))['Version'].startswith(f'{theirs}+ml.')
    assert 'Heartex' in metadata(wheel, 'licenses/NOTICE')
    assert 'Apache License' in metadata(wheel, 'licenses/LICENSE')


def test_source_archive_brings_no_upstream_code_and_builds(source, wheel, names, upstream_wheel, tmp_path):
    environment = {**os.environ, 'LABEL_STUDIO_WHEEL': str(upstream_wheel)}
    run(sys.executable, 'setup.py', '-q', 'sdist', '-d', tmp_path, cwd=source, env=environment)
    (archive,) = tmp_path.glob('*.tar.gz')
    assert archive.stat().st_size < 3_000_000
    run('tar', 'xzf', archive, '-C', tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (folder / 'label_studio' / '_upstream').exists()
    pip = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '--no-index']
    run(*pip, '-w', tmp_path, folder, env=environment)
    with zipfile.ZipFile(next(tmp_path.glob('*.whl'))) as rebuilt:
        assert set(rebuilt.namelist()) == names


def test_what_an_earlier_build_left_is_not_packed(upstream_wheel, tmp_path):
    """As after `git pull` and a second `pip install .`: a module that is gone must not be installed again."""
    copy = checkout(tmp_path / 'copy')
    for name in (
        'label_studio/ml_host/migrations/0099_gone.py',
        'ml_plugins/gone.py',
        'label_studio/_upstream/gone.py',
    ):
        path = copy / 'build' / 'lib' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    pip = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '--no-index']
    run(*pip, '-w', tmp_path, copy, env={**os.environ, 'LABEL_STUDIO_WHEEL': str(upstream_wheel)})
    with zipfile.ZipFile(next(tmp_path.glob('*.whl'))) as rebuilt:
        assert [name for name in rebuilt.namelist() if 'gone' in name] == []


def test_wrong_hash_stops_the_build(source, upstream_wheel, tmp_path):
    copy = checkout(tmp_path / 'copy')
    damaged = shutil.copy(upstream_wheel, tmp_path)
    with Path(damaged).open('ab') as file:
        file.write(b'x')
    done = subprocess.run(
        [sys.executable, 'setup.py', '--version'],
        cwd=copy,
        env={**os.environ, 'LABEL_STUDIO_WHEEL': str(damaged)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert 'sha256' in done.stderr
    assert not (copy / 'label_studio' / '_upstream').exists()


def test_edited_release_is_replaced(upstream_wheel, tmp_path):
    copy = checkout(tmp_path / 'copy')
    environment = {**os.environ, 'LABEL_STUDIO_WHEEL': str(upstream_wheel)}
    run(sys.executable, 'setup.py', '--version', cwd=copy, env=environment)
    edited = copy / 'label_studio' / '_upstream' / 'label_studio' / 'core' / 'version_.py'
    before = edited.read_text()
    edited.write_text('info = {}')
    run(sys.executable, 'setup.py', '--version', cwd=copy, env=environment)
    assert edited.read_text() == before


# --- Installing ------------------------------------------------------------------------------------------------------


class Environment:
    """A virtual environment and one installer."""

    def __init__(self, folder: Path, installer: str) -> None:
        venv.create(folder, with_pip=False)
        self.folder = folder
        self.python = folder / 'bin' / 'python'
        self.site = Path(run(self.python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))').strip())
        self.before = self.files()
        self._run = {'pip': self._pip, 'uv': self._uv}[installer]

    def _pip(self, action: str, *arguments: object) -> str:
        extra = ['--yes'] if action == 'uninstall' else ['--no-deps', '--no-index', '--no-build-isolation']
        return run(sys.executable, '-m', 'pip', '--python', self.python, action, '-q', *extra, *arguments)

    def _uv(self, action: str, *arguments: object) -> str:
        extra = [] if action == 'uninstall' else ['--no-deps', '--no-index', '--no-build-isolation']
        return run(UV, 'pip', action, '-q', '--python', self.python, *extra, *arguments)

    def install(self, *arguments: object) -> None:
        self._run('install', *arguments)

    def uninstall(self) -> None:
        self._run('uninstall', 'label-studio')

    def files(self) -> set[str]:
        found = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob('*') if path.is_file()}
        # uv locks an environment with a file of its own.
        return found - {'.lock'}

    def version(self) -> str:
        folders = [path.name for path in self.site.glob('label_studio-*.dist-info')]
        assert len(folders) == 1, folders
        return folders[0].removeprefix('label_studio-').removesuffix('.dist-info')

    def add_dependencies(self) -> None:
        """Let it see the libraries of the environment that runs the tests, after its own."""
        (self.site / 'dependencies.pth').write_text(sysconfig.get_path('purelib'))

    def command(self, *arguments: object, **environment: str) -> str:
        command = self.folder / 'bin' / 'label-studio'
        return run(command, *arguments, env={**os.environ, **environment}, cwd=self.folder)


def _find_uv() -> str | None:
    beside = Path(sys.executable).with_name('uv')
    return str(beside) if beside.exists() else shutil.which('uv')


UV = _find_uv()


@pytest.fixture(params=['pip', 'uv'])
def environment(request, tmp_path) -> Callable[[], Environment]:
    if request.param == 'uv' and UV is None:
        pytest.skip('uv is not installed')
    return Environment(tmp_path / 'venv', request.param)


def test_upgrade_over_upstream_and_uninstall(environment, wheel, upstream_wheel):
    environment.install(upstream_wheel)
    assert environment.version() == '1.23.2'
    assert 'label_studio.server' in (environment.folder / 'bin' / 'label-studio').read_text()
    environment.install('--upgrade', wheel)
    assert environment.version().startswith('1.23.2+ml.')
    assert 'label_studio.ml_host.cli' in (environment.folder / 'bin' / 'label-studio').read_text()
    # pip leaves empty folders behind, here and below.
    assert not [path for path in (environment.site / 'web').rglob('*') if path.is_file()]
    assert not (environment.site / 'label_studio' / 'server.py').exists()
    environment.uninstall()
    assert environment.files() - environment.before == set()


def test_installed_command_runs(environment, wheel, tmp_path):
    environment.install(wheel)
    environment.add_dependencies()
    data = {'LABEL_STUDIO_BASE_DATA_DIR': str(tmp_path / 'data')}
    assert '1.23.2+ml.' in environment.command('version', **data)
    listed = environment.command('plugins', 'list', **data)
    assert 'image_classifier' in listed


def test_editable_install_sees_new_files(environment, upstream_wheel, tmp_path, monkeypatch):
    monkeypatch.setenv('LABEL_STUDIO_WHEEL', str(upstream_wheel))
    folder = checkout(tmp_path / 'checkout')
    (environment.site / 'build-requirements.pth').write_text(sysconfig.get_path('purelib'))
    environment.install('--editable', folder)
    (folder / 'ml_plugins' / 'brand_new.py').write_text('WORDS = "seen"\n')
    script = 'import ml_plugins.brand_new, label_studio.ml_host; print(ml_plugins.brand_new.WORDS)'
    assert run(environment.python, '-c', script, cwd=tmp_path).strip() == 'seen'
    assert (folder / 'label_studio' / '_upstream' / 'label_studio' / 'core').is_dir()
    environment.uninstall()
    assert not list(environment.site.glob('*label_studio*'))


@pytest.mark.parametrize('name', ['ner', 'zero_shot'])
def test_an_extra_brings_what_its_backend_waits_for(name):
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    from ml_plugins.registry import registry

    config = registry.get(name).config_class
    brought = {
        item.name
        for item in map(Requirement, requires('label-studio'))
        if item.marker is not None
        and item.marker.evaluate({'extra': config.extra})
        and not item.marker.evaluate({'extra': ''})
    }
    assert {Requirement(text).name for text in config.requires} <= brought
