"""What is public resolves, and importing it stays light."""

import json
import subprocess
import sys

import pytest

import ml_plugins
import ml_plugins.adapters
import ml_plugins.testing

LIGHT = """
import json, sys
import {module}
django_apps = sys.modules.get('django.apps')
ready = bool(django_apps and django_apps.apps.apps_ready)
unwanted = ('torch', 'torchvision', 'sklearn', 'scipy', 'pandas', 'core', 'projects')
heavy = [name for name in unwanted if name in sys.modules]
print(json.dumps([ready, heavy]))
"""


@pytest.mark.parametrize(
    'package', [ml_plugins, ml_plugins.adapters, ml_plugins.testing], ids=lambda package: package.__name__
)
def test_every_public_name_resolves(package):
    assert package.__all__ == sorted(package.__all__, key=lambda name: (not name.isupper(), name))
    for name in package.__all__:
        assert getattr(package, name).__doc__ or name.isupper(), f'{name} has no docstring'


def test_type_checkers_see_the_same_names():
    assert set(ml_plugins._HOME_OF) == set(ml_plugins.__all__)
    assert set(ml_plugins.adapters._HOME_OF) == set(ml_plugins.adapters.__all__)
    assert set(ml_plugins.testing._HOME_OF) == set(ml_plugins.testing.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match='no_such_name'):
        ml_plugins.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    'module',
    [
        'ml_plugins',
        'ml_plugins.adapters.base',
        'ml_plugins.testing',
        'ml_plugins.strategies.registry',
        'label_studio.ml_host.cli',
    ],
)
def test_import_is_light(module):
    script = LIGHT.format(module=module)
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [False, []]


def test_version_of_the_contract():
    assert ml_plugins.API_VERSION == '1.0'
