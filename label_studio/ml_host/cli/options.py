"""Options of the commands, without Django: upstream's names and meanings, and ours.

Upstream's own parser cannot be imported before the data directory is known, because it reads the settings.
A test compares the options here with upstream's.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

SAMPLING = ('sequential', 'uniform', 'prediction-score-min')
LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR')


def _file(value: str) -> str:
    path = os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111
    if not os.path.exists(path):  # noqa: PTH110
        raise argparse.ArgumentTypeError(f'there is no file {path}')
    return path


def shared_options(add_help: bool = False, **texts: Any) -> argparse.ArgumentParser:
    """Options that upstream takes with every command."""
    parser = argparse.ArgumentParser(add_help=add_help, allow_abbrev=False, **texts)
    add = parser.add_argument
    add('--version', action='store_true', help='show the version')
    add('-b', '--no-browser', dest='no_browser', action='store_true', help='do not open a browser')
    add('-db', '--database', help='file of the SQLite database')
    add('--data-dir', dest='data_dir', help='directory for everything that is stored')
    add('-d', '--debug', action='store_true', help='debug mode')
    add('-c', '--config', dest='config_path', type=_file, help='JSON file with options of the server')
    add('-l', '--label-config', dest='label_config', type=_file, help='file with the label config of the new project')
    add('--skip-long-migrations', dest='skip_long_migrations', action='store_true', help=argparse.SUPPRESS)
    add('--ml-backends', dest='ml_backends', nargs='+', help='URLs of ML backends that run elsewhere')
    add('--sampling', choices=SAMPLING, default='sequential', help='order in which tasks are labeled')
    add('--log-level', dest='log_level', choices=LEVELS, default='WARNING', help='what is logged')
    add('--internal-host', dest='internal_host', default='0.0.0.0', help='address to listen on')
    add('-p', '--port', type=int, help='port to listen on (8080)')
    add('--host', default='', help='address under which people reach the server, e.g. https://label.example.org')
    add('--cert', dest='cert_file', type=_file, help=argparse.SUPPRESS)
    add('--key', dest='key_file', type=_file, help=argparse.SUPPRESS)
    add('--initial-project-description', dest='project_desc', help='description of the new project')
    add('--password', default='', help='password of the user')
    add('--username', default='', help='email of the user')
    add('--user-token', dest='user_token', default='', help='token of the user for the API')
    add('--agree-fix-sqlite', dest='agree_fix_sqlite', action='store_true', help=argparse.SUPPRESS)
    add('--enable-legacy-api-token', dest='enable_legacy_api_token', action='store_true', help='allow legacy tokens')
    return parser


def start_options() -> argparse.ArgumentParser:
    """Options of ``label-studio start``."""
    parser = argparse.ArgumentParser(
        prog='label-studio start',
        description='Start Label Studio with its queue and its training worker.',
        parents=[shared_options()],
        allow_abbrev=False,
    )
    parser.add_argument('project_name', metavar='PROJECT', nargs='?', default='', help='project to open or create')
    parser.add_argument('--init', action='store_true', help='create the user and the project where they are missing')
    models = parser.add_argument_group('models')
    models.add_argument('--template', metavar='NAME', help='template of the new project, e.g. image_classification')
    models.add_argument(
        '--ml-backend-name',
        metavar='NAME',
        help='installed ML backend to enable on the project; without a project, on every new one that it can serve; '
        'with --ml-backend-url, the title of that backend',
    )
    models.add_argument('--ml-backend-url', metavar='URL', help='connect an ML backend that runs elsewhere')
    return parser


def name_settings(options: argparse.Namespace) -> None:
    """Name in the environment what the settings and the workers read there, as upstream's command does."""
    os.environ.setdefault('LOG_LEVEL', options.log_level)
    if options.database:
        os.environ.setdefault('DATABASE_NAME', os.path.abspath(options.database))  # noqa: PTH100
    if options.host:
        os.environ.setdefault('HOST', options.host)


def take_data_dir(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Take ``--data-dir`` out of a command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('--data-dir', dest='data_dir')
    known, rest = parser.parse_known_args(arguments)
    return known.data_dir, rest
