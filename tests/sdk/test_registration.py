"""How classes of the SDK become plugins: an entry point straight at the class, or a folder that was added."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from label_studio.ml_host.sdk import added
from ml_plugins.discovery import Candidate
from ml_plugins.registry import Registry
from ml_plugins.sdk.backend import SdkBackend, backend_of
from tests.sdk.cases import BACKENDS

PROGRAM = Path(sys.executable).parent / 'label-studio'


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Gives a package that can be imported, from the text of its modules."""

    def make(package, **modules):
        folder = tmp_path / 'site' / package
        folder.mkdir(parents=True)
        (folder / '__init__.py').touch()
        for name, text in modules.items():
            (folder / f'{name}.py').write_text(text)
        monkeypatch.syspath_prepend(str(folder.parent))
        return folder

    return make


def loaded(*candidates):
    """A registry with these plugins, and their entries in INSTALLED_APPS."""
    registry = Registry()
    return registry, registry.load(candidates)


def test_an_entry_point_may_name_the_class(on_path):
    on_path(
        'sdk_pets',
        model='from label_studio_ml.model import LabelStudioMLBase\n'
        'from sdk_pets.names import NAME\nraise RuntimeError("imported")\n'
        'class Pets(LabelStudioMLBase):\n    def fit(self, event, data):\n        pass\n',
        names='NAME = "cat"\n',
    )
    registry, apps = loaded(Candidate('sdk-pets', 'sdk_pets.model:Pets'))
    plugin = registry.get('sdk-pets')
    # Nothing of it is imported, or it would have raised.
    assert apps == ['sdk_apps.sdk_pets.Config']
    backend = backend_of(plugin.config_class.source)
    assert issubclass(backend, SdkBackend) and backend.can_fit()


def test_an_entry_point_may_name_a_class_with_its_base_elsewhere(on_path):
    on_path(
        'sdk_far',
        base='from label_studio_ml.model import LabelStudioMLBase\nclass Base(LabelStudioMLBase):\n    pass\n',
        model='from sdk_far.base import Base\nclass Far(Base):\n    pass\n',
    )
    _, apps = loaded(Candidate('sdk_far', 'sdk_far.model:Far'))
    assert apps == ['sdk_apps.sdk_far.Config']


def test_two_added_folders_are_two_plugins(data_list):
    added.add('words', BACKENDS / 'words', '')
    added.add('votes', BACKENDS / 'votes', 'Votes')
    found = [item for item in added.all_candidates() if item.folder]
    assert [item.name for item in found] == ['votes', 'words']
    _, apps = loaded(*found)
    assert apps == ['sdk_apps.votes.Config', 'sdk_apps.words.Config']
    assert added.remove('words') and not added.remove('words')
    assert [item.name for item in added.added()] == ['votes']


@pytest.fixture
def data_list(tmp_path, monkeypatch):
    """A data directory of its own."""
    monkeypatch.setenv('LABEL_STUDIO_BASE_DATA_DIR', str(tmp_path / 'data'))
    return tmp_path / 'data' / 'ml' / 'added-backends.json'


@pytest.mark.parametrize('content', ['{', '[]', '{"a": 1}', '{"a": {"folder": "x"}}'])
def test_a_damaged_list_leaves_the_server_running(data_list, content):
    data_list.parent.mkdir(parents=True)
    data_list.write_text(content)
    assert added.added() == []


def test_a_folder_that_is_gone_breaks_only_itself(tmp_path):
    gone = Candidate('gone', '', folder=str(tmp_path / 'gone'))
    registry, apps = loaded(gone, Candidate('words', '', folder=str(BACKENDS / 'words')))
    assert apps == ['sdk_apps.words.Config']
    [failure] = registry.get('gone').load_failures
    assert 'plugins remove gone' in failure.error


# --- As a person does it ----------------------------------------------------------------------------------------------


def run(data, *arguments):
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data)}
    command = [PROGRAM, 'plugins', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_a_folder_is_added_listed_checked_and_removed(tmp_path):
    folder = tmp_path / 'my-words'
    folder.mkdir()
    for name in ('model.py', 'utils.py'):
        (folder / name).write_text((BACKENDS / 'words' / name).read_text())
    (folder / 'requirements.txt').write_text('no-such-package==1\n')
    done = run(tmp_path, 'add', folder, '--name', 'words')
    assert done.returncode == 0, done.stderr
    assert 'Added WordsClassifier' in done.stdout
    assert f'pip install -r {folder / "requirements.txt"}' in done.stdout
    [row] = [row for row in json.loads(run(tmp_path, 'list', '--json').stdout) if row['name'] == 'words']
    assert (row['package'], row['state']) == (str(folder), 'installed')
    assert 'no-such-package not installed, if it is needed: pip install -r' in row['reason']
    source = (folder / 'model.py').read_text()
    (folder / 'model.py').write_text(f'import no_such_package\n{source}')
    [row] = [row for row in json.loads(run(tmp_path, 'list', '--json').stdout) if row['name'] == 'words']
    assert row['state'] == 'broken' and '"no_such_package" is not installed' in row['reason']
    (folder / 'model.py').write_text(source)
    (folder / 'requirements.txt').unlink()
    assert run(tmp_path, 'check', 'words').returncode == 0
    (folder / 'utils.py').write_text('import no_such_package\n')
    done = run(tmp_path, 'check', 'words')
    assert done.returncode == 1 and 'run: pip install no_such_package' in done.stderr
    assert run(tmp_path, 'remove', 'words').returncode == 0
    assert 'words' not in run(tmp_path, 'list').stdout
    assert run(tmp_path, 'remove', 'words').returncode == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere'], 'is no folder'),
        ([BACKENDS], 'has no model.py'),
        ([BACKENDS / 'words', '--name', '1st'], 'is no name for a backend'),
        ([BACKENDS / 'words', '--name', 'image_classifier'], 'is the name of the package label-studio'),
    ],
)
def test_what_cannot_be_added_is_refused(tmp_path, arguments, message):
    done = run(tmp_path, 'add', *arguments)
    assert done.returncode == 1
    assert message in done.stderr
