"""Write a new plugin package from the templates beside this module.

Each folder of ``plugin_template`` with a ``kind.json`` is one kind of plugin; ``common`` has what all of them have, and
a file of the kind takes the place of a common one. Files that end in ``.tmpl`` are filled in, others are copied.
"""

from __future__ import annotations

import json
import keyword
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).parent / 'plugin_template'
DEFAULT_KIND = 'blank'
_COMMON = 'common'
_DESCRIPTION = 'kind.json'
_NAME = re.compile(r'^[a-z][a-z0-9_]{0,62}$')


@dataclass(frozen=True)
class Kind:
    """One kind of plugin.

    Attributes:
        help: What it is made from, for the command's help.
        description: What the example does, in the plugin's own words.
        label_template: Template of a label config that the example serves.
        dependencies: Packages that the plugin needs besides Label Studio.
        without: Common files that it does not have.
    """

    name: str
    help: str
    description: str
    label_template: str
    dependencies: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def kinds() -> dict[str, Kind]:
    """All kinds by name."""
    found = {}
    for path in sorted(TEMPLATES.glob(f'*/{_DESCRIPTION}')):
        said = json.loads(path.read_text(encoding='utf-8'))
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
        found[path.parent.name] = Kind(path.parent.name, **values)
    return found


def create_plugin(name: str, parent: Path, kind: str = DEFAULT_KIND) -> list[Path]:
    """Write the package ``name`` into ``parent/name``.

    Returns:
        The files written.

    Raises:
        ValueError: The name is not a Python package name, the kind is unknown, or the folder is in use.
    """
    if not _NAME.match(name) or keyword.iskeyword(name):
        raise ValueError(f'"{name}" is no name for a plugin: use lower-case letters, digits and "_", e.g. my_model')
    known = kinds()
    if kind not in known:
        raise ValueError(f'there is no kind "{kind}" of plugin; there are {", ".join(known)}')
    target = parent / name
    if target.exists() and any(target.iterdir()):
        raise ValueError(f'{target} exists and is not empty; choose another name or another --directory')
    values = _values(name, known[kind])
    return [_write(source, target / place, values) for place, source in _sources(name, known[kind]).items()]


def _values(name: str, kind: Kind) -> dict[str, str]:
    words = name.split('_')
    return {
        'name': name,
        'package': name,
        'distribution': name.replace('_', '-'),
        'class_name': ''.join(word.capitalize() for word in words),
        'title': ' '.join(words).capitalize(),
        'description': kind.description,
        'label_template': kind.label_template,
        'dependencies': ', '.join(f'"{package}"' for package in kind.dependencies),
    }


def _sources(name: str, kind: Kind) -> dict[Path, Path]:
    """Templates by their place in the new package, by name."""
    found = {}
    for folder in (TEMPLATES / _COMMON, TEMPLATES / kind.name):
        for source in folder.rglob('*'):
            place = source.relative_to(folder)
            if source.is_file() and place.name != _DESCRIPTION and '__pycache__' not in place.parts:
                found[place.with_suffix('') if place.suffix == '.tmpl' else place] = source
    for place in kind.without:
        del found[Path(place)]
    named = {Path(*(name if part == 'package' else part for part in place.parts)): found[place] for place in found}
    return dict(sorted(named.items()))


def _write(source: Path, path: Path, values: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == '.tmpl':
        path.write_text(Template(source.read_text(encoding='utf-8')).substitute(values), encoding='utf-8')
    else:
        shutil.copyfile(source, path)
    return path
