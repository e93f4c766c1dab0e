"""What `label-studio start` settles before it serves: names, answers, database, user, project."""

from __future__ import annotations

import argparse
import logging
import os
from typing import TYPE_CHECKING

from label_studio.ml_host import bootstrap

if TYPE_CHECKING:
    from ml_plugins.registry import Plugin

NO_PROJECT = 'There is no project "{0}". This makes it: label-studio start "{0}" --init'


def check_names(options: argparse.Namespace) -> None:
    """Refuse unknown names before anything is asked, made or started."""
    from label_studio.ml_host.cli.templates import TemplateNotFoundError, find_template
    from label_studio.ml_host.sdk.added import all_candidates

    if options.template:
        try:
            find_template(options.template)
        except TemplateNotFoundError as error:
            raise SystemExit(str(error)) from error
    named = options.ml_backend_name
    if named and not options.ml_backend_url and named not in {candidate.name for candidate in all_candidates()}:
        raise SystemExit(f'There is no ML backend "{named}". Installed: {_installed_backends()}')


def _installed_backends() -> str:
    """Which ones work is known once they are loaded, with the server; each broken one is in the answer."""
    logging.disable()
    bootstrap.setup()
    from label_studio.ml_host.cli.project import installed_backends

    return installed_backends()


def named_plugin(options: argparse.Namespace) -> Plugin | None:
    """The plugin that the command names; ends the command if it is broken."""
    from label_studio.ml_host.cli.project import usable_backend

    if not options.ml_backend_name or options.ml_backend_url:
        return None
    return usable_backend(options.ml_backend_name)


def ask_first(options: argparse.Namespace, config: dict, plugin: Plugin | None) -> None:
    """With an empty database, ask and refuse before the minute that preparing it takes."""
    from label_studio.ml_host.cli import project, user

    if not _is_empty():
        return
    if options.project_name and not options.init:
        raise SystemExit(NO_PROJECT.format(options.project_name))
    if options.project_name:
        project.check_label_config(options, plugin)
    if user.is_wanted(options):
        user.name_user(options, config)


def _is_empty() -> bool:
    from django.db import DatabaseError, connection

    from label_studio.ml_host.upstream import User

    try:
        return User._meta.db_table not in connection.introspection.table_names()
    except DatabaseError as error:
        raise SystemExit(_no_database(error)) from error


def prepare_database() -> None:
    """Bring the database up to date; ends the command with the reason when it cannot be read or written."""
    from django.db import DatabaseError, connection

    from label_studio.ml_host.launcher.migrate import migrate

    try:
        migrate()
    except DatabaseError as error:
        raise SystemExit(_no_database(error)) from error
    # SQLite opens a file that is read-only, and refuses what people save.
    if connection.vendor == 'sqlite' and not os.access(connection.settings_dict['NAME'], os.W_OK):
        raise SystemExit(_no_database('its file cannot be written'))


def _no_database(error: object) -> str:
    from django.db import connection

    place = f' in {connection.settings_dict["NAME"]}' if connection.vendor == 'sqlite' else ''
    return f'The database{place} cannot be used: {error}'


def prepare_project(options: argparse.Namespace, config: dict, plugin: Plugin | None) -> None:
    """Find or make the user and the project, and enable or connect the backend on it."""
    from label_studio.ml_host.cli import project, user
    from label_studio.ml_host.upstream import project_exists

    named = options.project_name
    if named and not options.init and not project_exists(named):
        raise SystemExit(NO_PROJECT.format(named))
    owner = user.ensure_user(options, config) if user.is_wanted(options) else None
    if not named:
        return
    row = project.ensure_project(options, owner, plugin) if options.init else project.find_project(named)
    if plugin is not None:
        project.enable_backend(row, plugin.name, owner)
    if options.ml_backend_url:
        project.connect_http_backend(row, options.ml_backend_url, options.ml_backend_name)
