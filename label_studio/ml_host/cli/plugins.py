"""``label-studio plugins list|check|create``."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from label_studio.ml_host import bootstrap
from label_studio.ml_host.launcher.data_dir import DataDirError, use_data_dir
from ml_plugins.discovery import Candidate, find_candidates


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
    listing = actions.add_parser('list', help='installed ML backends, broken ones with the reason')
    listing.add_argument('--json', action='store_true', help='print JSON')
    check = actions.add_parser('check', help='load one as the server does, and check its backend class')
    check.add_argument('name')
    create = actions.add_parser('create', help='write a new plugin package')
    create.add_argument('name', help='a Python package name, e.g. my_model')
    create.add_argument('--directory', type=Path, default=Path(), help='where to write it (here)')
    return parser


def main(argv: list[str]) -> int:
    """Run one of the actions."""
    options = _parser().parse_args(argv)
    if options.action == 'list':
        return _list(options.json)
    if options.action == 'check':
        return _check(options.name)
    return _create(options.name, options.directory)


def _list(as_json: bool) -> int:
    rows = [_row(candidate) for candidate in find_candidates()]
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    if not rows:
        print('No ML backend is installed.')
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        reason = f': {row.reason}' if row.reason else ''
        print(f'{row.name:{width}}  {row.package} {row.version}  {row.state}{reason}')
    return 0


def _row(candidate: Candidate) -> Row:
    """Look at the app config alone: that is quick, and tells most of what can be wrong."""
    reason = ''
    module, _, attribute = candidate.target.partition(':')
    try:
        getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        reason = f'{type(error).__name__}: {error}'
    state = 'broken' if reason else 'installed'
    return Row(candidate.name, candidate.distribution, candidate.version, state, reason)


def _check(name: str) -> int:
    try:
        use_data_dir()
    except DataDirError as error:
        raise SystemExit(str(error)) from error
    bootstrap.setup()
    from ml_plugins.exceptions import MLPluginError
    from ml_plugins.failures import describe
    from ml_plugins.registry import registry
    from ml_plugins.testing import check_backend

    try:
        plugin = registry.get(name)
        problems = [f'{failure.stage.value}: {failure.error}\n{failure.traceback}' for failure in plugin.load_failures]
        problems = problems or check_backend(plugin.backend_class())
    except MLPluginError as error:
        problems = [str(error)]
    except Exception as error:
        problems = [f'its backend class cannot be imported: {describe(error)}\n{traceback.format_exc()}']
    for problem in problems:
        print(f'{name}: {problem}', file=sys.stderr)
    if not problems:
        print(f'{name} is well-formed.')
    return 1 if problems else 0


def _create(name: str, directory: Path) -> int:
    from label_studio.ml_host.cli.scaffold import create_plugin

    try:
        files = create_plugin(name, directory)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path in files:
        print(path)
    print(f'Next: pip install -e {directory / name} && python -m pytest {directory / name / "tests"}')
    return 0
