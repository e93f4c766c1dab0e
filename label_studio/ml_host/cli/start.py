"""``label-studio start``: everything on one machine with one command."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from label_studio import __version__
from label_studio.ml_host import bootstrap
from label_studio.ml_host.cli import prepare
from label_studio.ml_host.cli.options import name_settings, start_options
from label_studio.ml_host.launcher.data_dir import DataDirError, redis_dir, use_data_dir

NO_SSL = 'Label Studio does not serve HTTPS with --cert and --key; put nginx or another web server in front of it.'


def main(argv: list[str]) -> int:
    """Prepare everything, then serve until stopped."""
    options = _parse(argv)
    from label_studio.ml_host.launcher.services import Services, exit_on_signals

    exit_on_signals()
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(Services())
        try:
            directory = use_data_dir(options.data_dir)
        except DataDirError as error:
            raise SystemExit(str(error)) from error
        _name_environment(options)
        prepare.check_names(options)
        print(f'Label Studio {__version__} starts; everything is kept in {directory}', flush=True)
        services.start_redis(redis_dir(directory))
        bootstrap.setup()
        config = _read_config(options)
        plugin = prepare.named_plugin(options)
        prepare.ask_first(options, config, plugin)
        prepare.prepare_database()
        prepare.prepare_project(options, config, plugin)
        _serve(options, config, services)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = start_options()
    options = parser.parse_args(argv)
    options.project_name = os.path.normpath(options.project_name) if options.project_name else ''
    # "." is upstream's way to say "no project".
    options.project_name = '' if options.project_name == '.' else options.project_name
    # Upstream's helpers look at it, and only its "init" sets it.
    options.quiet_mode = False
    if options.template and options.label_config:
        parser.error('--template and --label-config exclude each other')
    if options.ml_backend_url and not options.project_name:
        parser.error('--ml-backend-url needs a project: label-studio start PROJECT --init --ml-backend-url URL')
    if options.template and not (options.project_name and options.init):
        parser.error('--template needs a project to create: label-studio start PROJECT --init --template NAME')
    if options.cert_file or options.key_file:
        parser.error(NO_SSL)
    return options


def _name_environment(options: argparse.Namespace) -> None:
    """What the settings and the workers read from the environment."""
    name_settings(options)
    if options.ml_backend_name and not options.ml_backend_url and not options.project_name:
        os.environ['LABEL_STUDIO_ML_DEFAULT_BACKEND'] = options.ml_backend_name
    for url in [options.ml_backend_url, *(options.ml_backends or ())]:
        if url:
            _allow(url)


def _allow(url: str) -> None:
    """Who names an address on the command line means it, wherever it is; others stay refused."""
    named = os.environ.get('LABEL_STUDIO_ML_ALLOWED_BACKEND_URLS') or os.environ.get('ML_ALLOWED_BACKEND_URLS', '')
    os.environ['LABEL_STUDIO_ML_ALLOWED_BACKEND_URLS'] = f'{named},{url}'.strip(',')


def _read_config(options: argparse.Namespace) -> dict:
    from label_studio.ml_host.upstream import read_server_config

    if not options.config_path:
        return {}
    try:
        return read_server_config(options.config_path)
    except ValueError as error:
        raise SystemExit(f'--config {options.config_path} is not a JSON file: {error}') from error


def _serve(options: argparse.Namespace, config: dict, services) -> None:
    from django.conf import settings

    from label_studio.ml_host.launcher import web
    from label_studio.ml_host.upstream import free_port, start_browser
    from label_studio.ml_host.wsgi import application

    host = options.internal_host or config.get('internal_host', '0.0.0.0')
    port = free_port(_port(options, config), options.debug)
    settings.INTERNAL_PORT = str(port)
    try:
        server = web.listen(host, port, application)
    except web.PortError as error:
        raise SystemExit(str(error)) from error

    def ready() -> None:
        local = f'http://localhost:{port}'
        print(f'Label Studio is ready at {local}', flush=True)
        start_browser(options.host or config.get('host') or local, options.no_browser)
        services.start_background()

    web.serve(server, ready)


def _port(options: argparse.Namespace, config: dict) -> int:
    given = (options.port, os.environ.get('LABEL_STUDIO_PORT'), os.environ.get('PORT'), config.get('port'), 8080)
    value = next(one for one in given if one not in (None, ''))
    try:
        port = int(value)
    except ValueError:
        print(f'The port {value!r} is not a number; 8080 is used.', file=sys.stderr)
        return 8080
    if not 0 < port < 65536:
        raise SystemExit(f'The port {port} is not between 1 and 65535. Choose another --port.')
    return port
