"""``label-studio serve BACKEND``: models for other Label Studios and programs, without the pages to label in."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from pathlib import Path

from label_studio import __version__
from label_studio.ml_host import bootstrap
from label_studio.ml_host.cli import prepare
from label_studio.ml_host.cli.options import LEVELS, name_settings
from label_studio.ml_host.launcher.data_dir import DataDirError, redis_dir, use_data_dir
from label_studio.ml_host.launcher.services import WORKERS_VARIABLES

DEFAULT_PORT = 9090
# What the helpers of `label-studio start` look at and this command does not ask for.
_NOT_ASKED = {
    'project_name': '',
    'init': True,
    'ml_backend_url': None,
    'template': None,
    'quiet_mode': False,
    'debug': False,
    'enable_legacy_api_token': False,
    'user_token': '',
    'database': None,
    'config_path': None,
}


def main(argv: list[str]) -> int:
    """Prepare everything, then serve until stopped."""
    options = _parse(argv)
    from label_studio.ml_host.launcher.services import Services, exit_on_signals

    exit_on_signals()
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(Services())
        directory = _prepare(options)
        print(
            f'Label Studio {__version__} serves {", ".join(options.backends)}; data is kept in {directory}', flush=True
        )
        services.start_redis(redis_dir(directory))
        bootstrap.setup()
        for name in options.backends:
            options.ml_backend_name = name
            prepare.named_plugin(options)
        prepare.ask_first(options, {}, None)
        prepare.prepare_database()
        from label_studio.ml_host.cli.user import ensure_user

        user = ensure_user(options, {})
        _serve(options, services, user.email)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='label-studio serve',
        description='Serve ML backends to other Label Studios, by the ML backend protocol, and to programs. '
        'Training works as with "label-studio start"; there are no pages.',
        allow_abbrev=False,
    )
    add = parser.add_argument
    add('backends', metavar='BACKEND', nargs='+', help='installed ML backend to serve; several can be named')
    add('-p', '--port', type=_port, default=DEFAULT_PORT, help=f'port to listen on ({DEFAULT_PORT})')
    add('--internal-host', dest='internal_host', default='0.0.0.0', help='address to listen on')
    add('--host', default='', help='address under which others reach the server, e.g. https://models.example.org')
    add('--data-dir', dest='data_dir', help='directory for everything that is stored')
    add('--workers', type=int, metavar='N', help='training workers (1)')
    add('--username', default='', help='email of the user that others name for basic auth; made when it is missing')
    add('--password', default='', help='password of a user that is made')
    add(
        '--remote-host',
        dest='remote_hosts',
        action='append',
        default=[],
        metavar='URL',
        help='Label Studio in a private network that may be asked for tasks and files; can be given several times',
    )
    add('--log-level', dest='log_level', choices=LEVELS, default='WARNING', help='what is logged')
    return parser.parse_args(argv, argparse.Namespace(**_NOT_ASKED))


def _port(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise argparse.ArgumentTypeError(f'{value} is not between 1 and 65535')
    return int(value)


def _prepare(options: argparse.Namespace) -> Path:
    """Check what was named, and put what the settings read into the environment."""
    try:
        directory = use_data_dir(options.data_dir)
    except DataDirError as error:
        raise SystemExit(str(error)) from error
    name_settings(options)
    os.environ['LABEL_STUDIO_ML_SERVED_BACKENDS'] = ','.join(options.backends)
    if options.workers is not None:
        os.environ[WORKERS_VARIABLES[0]] = str(options.workers)
    if options.remote_hosts:
        os.environ['LABEL_STUDIO_ML_REMOTE_HOSTS'] = ','.join(options.remote_hosts)
    for name in options.backends:
        options.ml_backend_name = name
        prepare.check_names(options)
    return directory


def _serve(options: argparse.Namespace, services, email: str) -> None:
    from django.conf import settings
    from django.urls import get_resolver

    from label_studio.ml_host.launcher import web
    from label_studio.ml_host.protocol.alone import without_pages
    from label_studio.ml_host.wsgi import application

    # Reading all routes takes a second, and another Label Studio waits no longer for its first answer.
    get_resolver().url_patterns  # noqa: B018
    settings.INTERNAL_PORT = str(options.port)
    try:
        server = web.listen(options.internal_host, options.port, without_pages(application))
    except web.PortError as error:
        raise SystemExit(str(error)) from error

    def ready() -> None:
        base = options.host or f'http://localhost:{options.port}'
        for name in options.backends:
            print(f'{name} is ready at {base}/ml/{name}', flush=True)
        print('Connect it in another Label Studio under Settings > Model, with basic auth. Try it:')
        print(f'  curl -u {shlex.quote(email)} {base}/ml/{options.backends[0]}/health', flush=True)
        services.start_background()

    web.serve(server, ready)
