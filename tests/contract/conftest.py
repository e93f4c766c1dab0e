"""Installed third-party plugins: in a folder of their own, never in the environment that runs the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installed_plugins import install_plugins

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo plugin and the broken ones installed."""
    return install_plugins(tmp_path_factory.mktemp('plugins'), 'mlp_demo', 'mlp_broken')


@pytest.fixture(scope='session')
def demo_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with only the demo plugin installed."""
    return install_plugins(tmp_path_factory.mktemp('demo'), 'mlp_demo')


@pytest.fixture
def demo_backend(demo_path: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """The demo's backend class, importable in this process."""
    monkeypatch.syspath_prepend(str(demo_path))
    from mlp_demo.backend import DemoBackend

    return DemoBackend


@pytest.fixture
def run_python():
    """Run a script in a process of its own; returns the finished process."""

    def run(script: str, *paths: Path, timeout: int = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        search = os.pathsep.join([*map(str, paths), os.environ.get('PYTHONPATH', '')]).strip(os.pathsep)
        return subprocess.run(
            [sys.executable, '-c', script],
            env={**os.environ, 'PYTHONPATH': search, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
