"""Photo cut-outs of Tux Paint's stamps, fetched from Debian when they are wanted; GPL-2, so never committed.

They are kept in ``LABEL_STUDIO_TEST_ASSETS``, or in a folder of the system's temporary directory.
"""

import io
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = 'tuxpaint-stamps-default'
STAMPS = Path('usr/share/tuxpaint/stamps')
# Folders of photographs; what is drawn lies in folders named "cartoon".
CLASSES = {
    'bird': ('animals/birds',),
    'food': ('food',),
    'household': ('household',),
    'mammal': ('animals/mammals',),
    'other animal': (
        'animals/amphibians',
        'animals/fish',
        'animals/insects',
        'animals/lizards',
        'animals/shellfish',
    ),
    'plant': ('plants',),
    'vehicle': ('vehicles',),
}


class AssetsMissingError(Exception):
    """The package cannot be had; the message says why."""


@dataclass(frozen=True)
class Photo:
    """One stamp on white.

    Attributes:
        name: Its path below the stamps, with slashes turned into dashes.
        png: The picture as a PNG file without transparency.
    """

    name: str
    label: str
    png: bytes


def folder() -> Path:
    """The unpacked package; fetched by the first call. Raises `AssetsMissingError`."""
    root = Path(os.environ.get('LABEL_STUDIO_TEST_ASSETS') or Path(tempfile.gettempdir()) / 'label-studio-test-assets')
    target = root / PACKAGE
    if not target.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as name:
            _fetch(Path(name))
            try:
                (Path(name) / 'content').rename(target)
            except OSError:
                # Another process was quicker.
                if not target.is_dir():
                    raise
    return target / STAMPS


def photos() -> list[Photo]:
    """All photos of the seven classes, in a fixed order. Raises `AssetsMissingError`."""
    stamps = folder()
    found = []
    for label, folders in CLASSES.items():
        for name in folders:
            paths = sorted(path for path in (stamps / name).rglob('*.png') if 'cartoon' not in path.parts)
            found += [Photo('-'.join(path.relative_to(stamps).parts), label, _on_white(path)) for path in paths]
    return found


def _fetch(folder: Path) -> None:
    for tool in ('apt-get', 'dpkg-deb'):
        if shutil.which(tool) is None:
            raise AssetsMissingError(f'{PACKAGE} is a Debian package, and there is no {tool} here')
    done = _command(['apt-get', 'download', PACKAGE], folder)
    if done.returncode:
        _command(['apt-get', 'update'], folder)
        done = _command(['apt-get', 'download', PACKAGE], folder)
    packages = list(folder.glob('*.deb'))
    if done.returncode or not packages:
        raise AssetsMissingError(f'{PACKAGE} cannot be downloaded: {done.stderr.strip()[-300:]}')
    _command(['dpkg-deb', '-x', packages[0].name, 'content'], folder).check_returncode()


def _command(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def _on_white(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as stamp:
        rgba = stamp.convert('RGBA')
    picture = Image.new('RGBA', rgba.size, 'white')
    picture.alpha_composite(rgba)
    buffer = io.BytesIO()
    picture.convert('RGB').save(buffer, 'PNG')
    return buffer.getvalue()
