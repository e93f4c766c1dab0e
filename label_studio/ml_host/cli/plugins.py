"""``label-studio plugins list|check|create|add|remove``."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from label_studio.ml_host import bootstrap
from label_studio.ml_host.cli.scaffold import DEFAULT_KIND, create_plugin, kinds
from label_studio.ml_host.launcher.data_dir import DataDirError, use_data_dir
from label_studio.ml_host.sdk.added import add, all_candidates, remove
from ml_plugins.discovery import Candidate
from ml_plugins.exceptions import MLPluginError, PluginBrokenError


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    name: str
    package: str
    version: str
    state: str
    reason: str = ''


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='label-studio plugins', description='List, check and create ML backends.')
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='installed ML backends; broken and incomplete ones with the reason')
    listing.add_argument('--json', action='store_true', help='print JSON')
    check = actions.add_parser('check', help='load one as the server does, and check its backend class')
    check.add_argument('name')
    create = actions.add_parser('create', help='write a new plugin package')
    create.add_argument('name', help='a Python package name, e.g. my_model')
    create.add_argument('--directory', type=Path, default=Path(), help='where to write it (here)')
    create.add_argument(
        '--from',
        dest='kind',
        metavar='KIND',
        choices=kinds(),
        default=DEFAULT_KIND,
        help=f'what it wraps: {"; ".join(f"{kind.name}, {kind.help}" for kind in kinds().values())} ({DEFAULT_KIND})',
    )
    adding = actions.add_parser('add', help='run a backend that was written for the ML backend SDK, from its folder')
    adding.add_argument('path', help='the folder with model.py; FOLDER:Class where it has several classes')
    adding.add_argument('--name', help="what people type after --ml-backend-name (the folder's name)")
    removing = actions.add_parser('remove', help='forget a folder that was added; nothing in it is deleted')
    removing.add_argument('name')
    return parser


def main(argv: list[str]) -> int:
    """Run one of the actions."""
    options = _parser().parse_args(argv)
    if options.action == 'list':
        return _list(options.json)
    if options.action == 'check':
        return _check(options.name)
    if options.action == 'add':
        return _add(options.path, options.name)
    if options.action == 'remove':
        return _remove(options.name)
    return _create(options.name, options.directory, options.kind)


def _list(as_json: bool) -> int:
    rows = [_row(candidate) for candidate in all_candidates()]
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    if not rows:
        print('No ML backend is installed.')
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        reason = f': {row.reason}' if row.reason else ''
        package = f'{row.package} {row.version}'.strip()
        print(f'{row.name:{width}}  {package}  {row.state}{reason}')
    return 0


def _row(candidate: Candidate) -> Row:
    """Look at the app config alone: that is quick, and tells most of what can be wrong."""
    from ml_plugins.sdk.building import check_imports, missing_requirements
    from ml_plugins.sdk.plugin import resolve
    from ml_plugins.sdk.sources import SdkSource

    state, reason = 'installed', ''
    try:
        found = resolve(candidate)
        if isinstance(found, SdkSource):
            check_imports(found)
            if missing := missing_requirements(found):
                reason = f'{", ".join(missing)} not installed, if it is needed: pip install -r {found.requirements}'
        elif found is None:
            state, reason = 'broken', f'there is no {candidate.target}'
        elif reason := found.missing(candidate.distribution):
            state = 'incomplete'
    except MLPluginError as error:
        state, reason = 'broken', str(error)
    except (Exception, SystemExit) as error:
        state, reason = 'broken', f'{type(error).__name__}: {error}'
    return Row(candidate.name, candidate.distribution or candidate.folder, candidate.version, state, reason)


def _check(name: str) -> int:
    try:
        use_data_dir()
    except DataDirError as error:
        raise SystemExit(str(error)) from error
    bootstrap.setup()
    from ml_plugins.failures import describe
    from ml_plugins.registry import registry
    from ml_plugins.sdk.building import check_import
    from ml_plugins.testing import check_backend

    try:
        plugin = registry.get(name)
        problems = [f'{failure.stage.value}: {failure.error}\n{failure.traceback}' for failure in plugin.load_failures]
        if not problems:
            backend_class = plugin.backend_class()
            problems = check_backend(backend_class)
            if not problems and (source := getattr(backend_class, 'source', None)) is not None:
                check_import(source)
    except MLPluginError as error:
        problems = [str(error)]
    except Exception as error:
        problems = [f'its backend class cannot be imported: {describe(error)}\n{traceback.format_exc()}']
    for problem in problems:
        print(f'{name}: {problem}', file=sys.stderr)
    if not problems:
        print(f'{name} is well-formed.')
    return 1 if problems else 0


def _add(path: str, name: str | None) -> int:
    from ml_plugins.registry import NAME
    from ml_plugins.sdk.building import missing_requirements
    from ml_plugins.sdk.sources import source_in_folder

    folder, _, class_name = path.partition(':') if not Path(path).is_dir() else (path, '', '')
    place = Path(folder).expanduser().resolve()
    name = name or place.name
    try:
        use_data_dir()
        if not NAME.match(name):
            raise PluginBrokenError(f'"{name}" is no name for a backend: give one with --name, e.g. --name my_model')
        taken = [item for item in all_candidates() if item.name == name and not item.folder]
        if taken:
            raise PluginBrokenError(f'"{name}" is the name of the package {taken[0].distribution}: choose --name')
        source = source_in_folder(name, place, class_name)
    except (MLPluginError, DataDirError) as error:
        print(error, file=sys.stderr)
        return 1
    add(name, place, class_name)
    print(f'Added {source.class_name} of {place} as {name}; a server that runs has to be started again.')
    if missing := missing_requirements(source):
        print(f'Not installed yet: {", ".join(missing)}. Run: pip install -r {source.requirements}')
    return 0


def _remove(name: str) -> int:
    if remove(name):
        print(f'{name} is forgotten; a server that runs has to be started again.')
        return 0
    print(f'No folder was added as "{name}"; `label-studio plugins list` names them.', file=sys.stderr)
    return 1


def _create(name: str, directory: Path, kind: str) -> int:
    try:
        files = create_plugin(name, directory, kind)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path in files:
        print(path)
    print(f'Next: pip install -e {directory / name} && python -m pytest {directory / name / "tests"}')
    return 0
