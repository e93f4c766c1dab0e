"""Static files of plugins: served from their folders, without taking anybody's name."""

from types import SimpleNamespace

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import SuspiciousFileOperation
from django.http import Http404
from django.urls.exceptions import Resolver404

from label_studio.ml_host.pages.assets import asset_patterns
from ml_plugins.failures import failure_log
from ml_plugins.registry import registry
from tests.inline_plugins import ConstantBackend, InlinePlugin


@pytest.fixture
def plugin(tmp_path):
    """Makes a plugin with these files in its `static` folder."""
    before = dict(registry._plugins)
    registry._plugins.clear()

    def make(name: str, *files: str):
        for file in files:
            path = tmp_path / name / 'static' / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'{name}: {file}')
        config = SimpleNamespace(path=str(tmp_path / name), label=name)
        registry._plugins[name] = type(f'Of_{name}', (InlinePlugin,), {'config': config})(name, ConstantBackend)

    yield make
    registry._plugins.clear()
    registry._plugins.update(before)
    failure_log.clear()


def get(rf, path: str) -> str:
    for pattern in asset_patterns():
        if found := pattern.resolve(path):
            response = found.func(rf.get(f'/{path}'), *found.args, **found.kwargs)
            assert response['Cache-Control'] == 'no-cache'
            return b''.join(response.streaming_content).decode()
    raise Resolver404(path)


def test_files_are_served_from_their_plugin(plugin, rf):
    plugin('first', 'first/deep/a.css', 'single.js')
    plugin('second', 'second/a.css')
    assert get(rf, 'static/first/deep/a.css') == 'first: first/deep/a.css'
    assert get(rf, 'static/single.js') == 'first: single.js'
    assert get(rf, 'static/second/a.css') == 'second: second/a.css'
    for path in ('static/first/b.css', 'static/first/', 'static/first/../../secret'):
        with pytest.raises((Http404, SuspiciousFileOperation)):
            get(rf, path)
    with pytest.raises(Resolver404):
        get(rf, 'static/firstborn/a.css')
    assert not failure_log.of('first')


@pytest.mark.parametrize('name', ['css', 'ml_host', 'admin', 'first'])
def test_a_name_that_is_taken_is_refused_and_said(plugin, rf, name):
    plugin('first', 'first/a.css')
    plugin('second', f'{name}/a.css', 'second/a.css')
    assert get(rf, 'static/second/a.css') == 'second: second/a.css'
    if name == 'first':
        assert get(rf, 'static/first/a.css') == 'first: first/a.css'
    (failure,) = failure_log.of('second')[-1:]
    assert f'static/{name} of plugin "second" is not served' in failure.error
    assert 'move it to static/second/' in failure.error


def test_addresses_of_files_that_upstream_did_not_collect():
    assert staticfiles_storage.url('ml_host/page.css') == '/static/ml_host/page.css'
    assert staticfiles_storage.url('css/error.css').startswith('/static/css/error.')
    assert staticfiles_storage.url('css/error.css') != '/static/css/error.css'
    assert 'nothing' not in staticfiles_storage.url('ml_host/nothing.css')
