"""URLs of plugins: a broken URLconf is recorded, the others work."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from django.http import HttpResponse
from django.urls import path

from label_studio.ml_host.pages.mounts import plugin_patterns
from ml_plugins.failures import failure_log
from ml_plugins.registry import registry
from tests.inline_plugins import ConstantBackend, InlinePlugin


@pytest.fixture
def mount(monkeypatch):
    before = dict(registry._plugins)
    registry._plugins.clear()

    def _mount(name: str, patterns) -> None:
        module = ModuleType(f'urls_of_{name}')
        module.urlpatterns = patterns
        monkeypatch.setitem(sys.modules, module.__name__, module)
        kind = type(
            f'Plugin_{name}', (InlinePlugin,), {'config': SimpleNamespace(url_conf=module.__name__, label=name)}
        )
        registry._plugins[name] = kind(name, ConstantBackend)

    yield _mount
    registry._plugins.clear()
    registry._plugins.update(before)
    failure_log.clear()


def test_a_broken_urlconf_is_recorded_and_the_others_are_mounted(mount):
    mount('good', [path('hello/', lambda request: HttpResponse('hello'))])
    mount('odd', ['not a pattern'])
    mount('bad_pattern', 5)
    patterns = plugin_patterns()
    assert [str(item.pattern) for item in patterns] == ['plugins/good/']
    assert patterns[0].resolve('plugins/good/hello/').func(None).content == b'hello'
    for name in ('odd', 'bad_pattern'):
        assert failure_log.of(name)[0].stage.value == 'urls'
