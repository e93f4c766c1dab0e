"""``label-studio start``: everything on one machine with one command."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from label_studio.ml_host import bootstrap
from label_studio.ml_host.cli.options import start_options
from label_studio.ml_host.launcher.data_dir import DataDirError, redis_dir, use_data_dir

NO_PROJECT = 'Project "{0}" not found. Did you miss create it first with `label-studio init {0}` ?'
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
        check_names(options)
        services.start_redis(redis_dir(directory))
        bootstrap.setup()
        config = _read_config(options)
        _prepare_database()
        _prepare_project(options, config)
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
    """What the settings and the workers read from the environment, as upstream's command sets it."""
    os.environ.setdefault('LOG_LEVEL', options.log_level)
    if options.database:
        os.environ.setdefault('DATABASE_NAME', str(Path(options.database).absolute()))
    if options.host:
        os.environ.setdefault('HOST', options.host)
    if options.ml_backend_name and not options.ml_backend_url and not options.project_name:
        os.environ['LABEL_STUDIO_ML_DEFAULT_BACKEND'] = options.ml_backend_name
    if options.ml_backend_url:
        allowed = 'LABEL_STUDIO_ML_BLOCK_LOCAL_IP'
        if allowed not in os.environ and 'ML_BLOCK_LOCAL_IP' not in os.environ:
            os.environ[allowed] = 'false'
            print(f'ML backends on this machine and in private networks are allowed, for {options.ml_backend_url}')


def check_names(options: argparse.Namespace) -> None:
    """Refuse unknown names before anything is asked, made or started."""
    from label_studio.ml_host.cli.templates import TemplateNotFoundError, find_template
    from ml_plugins.discovery import find_candidates

    if options.template:
        try:
            find_template(options.template)
        except TemplateNotFoundError as error:
            raise SystemExit(str(error)) from error
    if options.ml_backend_name and not options.ml_backend_url:
        names = sorted({candidate.name for candidate in find_candidates()})
        if options.ml_backend_name not in names:
            listed = ', '.join(names) or 'none'
            raise SystemExit(f'There is no ML backend "{options.ml_backend_name}". Installed: {listed}')


def _read_config(options: argparse.Namespace) -> dict:
    from label_studio.ml_host.upstream import read_server_config

    return read_server_config(options.config_path) if options.config_path else {}


def _prepare_database() -> None:
    from django.db import DatabaseError

    from label_studio.ml_host.launcher.migrate import migrate

    try:
        migrate()
    except DatabaseError as error:
        raise SystemExit(f'The database cannot be prepared: {error}') from error


def _prepare_project(options: argparse.Namespace, config: dict) -> None:
    from label_studio.ml_host.cli import project
    from label_studio.ml_host.upstream import project_exists

    backend = options.ml_backend_name if not options.ml_backend_url else ''
    plugin = project.usable_backend(backend) if backend else None
    named = options.project_name
    if named and not options.init and not project_exists(named):
        raise SystemExit(NO_PROJECT.format(named))
    # As upstream: named users are made, also without a project.
    user = project.ensure_user(options, config) if options.init or options.username or options.password else None
    if not named:
        return
    row = project.ensure_project(options, user, plugin) if options.init else project.find_project(named)
    if plugin is not None:
        project.enable_backend(row, plugin.name, user)
    if options.ml_backend_url:
        project.connect_http_backend(row, options.ml_backend_url, options.ml_backend_name)


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
    value = options.port or os.environ.get('LABEL_STUDIO_PORT') or os.environ.get('PORT') or config.get('port', 8080)
    try:
        return int(value)
    except ValueError:
        print(f'The port {value!r} is not a number; 8080 is used.', file=sys.stderr)
        return 8080
