"""A server in memory, and folders written by a test."""

from textwrap import dedent

import pytest

from ml_plugins import BackendContext, parse_label_config
from ml_plugins.sdk import host
from ml_plugins.sdk.backend import backend_of
from ml_plugins.sdk.sources import source_in_folder
from tests.sdk.cases import CLASS, TEXT_CONFIG


@pytest.fixture
def memory_host(monkeypatch):
    """A server whose values live in memory."""
    found = host.MemoryHost()
    monkeypatch.setattr(host, 'current', found)
    return found


@pytest.fixture
def context(tmp_path):
    """Gives a `BackendContext` of a project without a server."""

    def make(version=None, **params):
        return BackendContext(
            parse_label_config(TEXT_CONFIG), params, version, project_id=1, cache_directory=tmp_path / 'cache'
        )

    return make


@pytest.fixture
def load(memory_host, context):
    """Gives a backend that is set up, of a folder."""

    def made(folder, version=None, **params):
        backend = backend_of(source_in_folder(folder.name, folder))(context(version, **params))
        backend.setup()
        return backend

    return made


@pytest.fixture
def written(tmp_path):
    """Gives a folder with a `model.py`: the class `Model` with this body, or the whole text."""

    def write(body='', text='', name='written', **siblings):
        folder = tmp_path / name
        folder.mkdir()
        indented = '\n'.join(f'        {line}' if line else '' for line in dedent(body).strip().splitlines())
        (folder / 'model.py').write_text(dedent(text) if text else dedent(CLASS + indented + '\n'))
        for sibling, content in siblings.items():
            (folder / f'{sibling}.py').write_text(dedent(content))
        return folder

    return write
