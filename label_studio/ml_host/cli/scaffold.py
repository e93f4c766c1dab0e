"""Write a new plugin package from the templates beside this module."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).parent / 'plugin_template'
_NAME = re.compile(r'^[a-z][a-z0-9_]{0,62}$')


def create_plugin(name: str, parent: Path) -> list[Path]:
    """Write the package ``name`` into ``parent/name``.

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
    return [_write(source, target, name, values) for source in sorted(TEMPLATES.rglob('*.tmpl'))]


def _write(source: Path, target: Path, name: str, values: dict[str, str]) -> Path:
    place = source.relative_to(TEMPLATES).with_suffix('')
    parts = [name if part == 'package' else part for part in place.parts]
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(source.read_text(encoding='utf-8')).substitute(values), encoding='utf-8')
    return path
