"""Install the packages of tests/plugins into a folder of their own, never into the environment that runs the tests."""

import shutil
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).resolve().parent / 'plugins'


def install_plugins(folder: Path, *names: str) -> Path:
    """Install with pip into ``folder``; the result goes on ``PYTHONPATH``."""
    target = folder / 'site'
    for name in names:
        # Building leaves files beside the sources, so a copy is built.
        source = shutil.copytree(PLUGINS / name, folder / 'source' / name)
        command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation']
        options = ['--disable-pip-version-check', '--no-index']
        subprocess.run([*command, *options, '--target', str(target), str(source)], check=True)
    return target
