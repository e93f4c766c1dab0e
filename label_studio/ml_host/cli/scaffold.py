"""Write a new plugin package from the templates beside this module."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).parent / 'plugin_template'
# What a plugin may start from, and the folder of its templates.
KINDS = {'blank': TEMPLATES, 'sdk': TEMPLATES / 'sdk'}
_NAME = re.compile(r'^[a-z][a-z0-9_]{0,62}$')


def create_plugin(name: str, parent: Path, kind: str = 'blank') -> list[Path]:
    """Write the package ``name`` into ``parent/name``.

    Args:
        kind: What it starts from, of `KINDS`.

    Returns:
        The files written.

    Raises:
        ValueError: The name is not a Python package name, or the folder is in use.
    """
    if not _NAME.match(name) or keyword.iskeyword(name):
        raise ValueError(f'"{name}" is no name for a plugin: use lower-case letters, digits and "_", e.g. my_model')
    target = parent / name
    if target.exists() and any(target.iterdir()):
        raise ValueError(f'{target} exists and is not empty; choose another name or another --directory')
    words = name.split('_')
    values = {
        'name': name,
        'package': name,
        'distribution': name.replace('_', '-'),
        'class_name': ''.join(word.capitalize() for word in words),
        'title': ' '.join(words).capitalize(),
    }
    folder = KINDS[kind]
    others = [other for other in KINDS.values() if other != folder and other.is_relative_to(folder)]
    sources = [path for path in sorted(folder.rglob('*.tmpl')) if not any(map(path.is_relative_to, others))]
    return [_write(source, source.relative_to(folder), target, name, values) for source in sources]


def _write(source: Path, relative: Path, target: Path, name: str, values: dict[str, str]) -> Path:
    place = relative.with_suffix('')
    parts = [name if part == 'package' else part for part in place.parts]
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(source.read_text(encoding='utf-8')).substitute(values), encoding='utf-8')
    return path
