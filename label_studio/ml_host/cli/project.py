"""User, project and backend of ``label-studio start PROJECT --init``; upstream's own helpers do the work."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from label_studio.ml_host.cli.templates import find_template, label_config
from ml_plugins.exceptions import LabelConfigError, MLPluginError
from ml_plugins.label_config import parse_label_config
from ml_plugins.registry import Plugin, registry

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_USER = (
    'There is no user yet, and nobody to ask: name one with --username EMAIL and --password PASSWORD '
    '(or LABEL_STUDIO_USERNAME and LABEL_STUDIO_PASSWORD).'
)


def usable_backend(name: str) -> Plugin:
    """A plugin that loads, backend class and all; ends the command with the reason otherwise."""
    try:
        plugin = registry.get(name)
        plugin.backend_class()
    except MLPluginError as error:
        raise SystemExit(f'{error}. {_others(name)}') from error
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        raise SystemExit(f'ML backend "{name}" is broken ({reason}). {_others(name)}') from error
    return plugin


def _others(name: str) -> str:
    others = [plugin.name for plugin in registry.usable() if plugin.name != name]
    return f'Other ML backends here: {", ".join(others) or "none"}'


def _given(options: argparse.Namespace, config: dict, name: str) -> str:
    variable = name.upper()
    return (
        getattr(options, name)
        or config.get(name)
        or os.environ.get(f'LABEL_STUDIO_{variable}')
        or os.environ.get(variable)
        or ''
    )


def ensure_user(options: argparse.Namespace, config: dict) -> Any:
    """The named user, made if missing; else the first one there is; else one that is asked for."""
    from label_studio.ml_host.upstream import User, create_user

    # Upstream looks at USERNAME too, which some systems set to the login name: that is nobody's email.
    email = options.username or config.get('username') or os.environ.get('LABEL_STUDIO_USERNAME') or ''
    options.password = _given(options, config, 'password')
    if email and (known := User.objects.filter(email__iexact=email).first()) and known.active_organization:
        return known
    if not email and (first := User.objects.filter(is_active=True).order_by('-is_superuser', 'id').first()):
        return first
    if not (email and options.password):
        if not sys.stdin.isatty():
            raise SystemExit(NO_USER)
        email = email or _ask_email()
        options.password = options.password or _ask_password(email)
    options.username = email
    return create_user(options, config)


def _ask_email() -> str:
    print('No user exists yet. With which email and password will you log in?')
    while True:
        email = input('Email: ').strip()
        if '@' in email.strip('@'):
            return email
        print('That is not an email address.')


def _ask_password(email: str) -> str:
    while True:
        password = getpass.getpass(f'Password for {email}: ')
        if len(password) >= 8:
            return password
        print('The password must have at least 8 characters.')


def find_project(title: str) -> Any:
    """The first project of that title."""
    from label_studio.ml_host.upstream import Project

    return Project.objects.filter(title=title).order_by('id').first()


def ensure_project(options: argparse.Namespace, user: Any, plugin: Plugin | None) -> Any:
    """The project of that title, made with the template if it is missing; an existing one stays as it is."""
    from label_studio.ml_host.upstream import create_project

    if existing := find_project(options.project_name):
        print(f'Project "{options.project_name}" already exists')
        return existing
    with _label_config_file(options) as path:
        if plugin is not None:
            _check_label_config(plugin, path)
        return create_project(
            title=options.project_name,
            user=user,
            label_config=path,
            description=options.project_desc,
            sampling=_sampling(options.sampling),
            ml_backends=options.ml_backends,
        )


@contextmanager
def _label_config_file(options: argparse.Namespace) -> Iterator[str | None]:
    """Upstream takes a file; a template's label config is a part of one."""
    if not options.template:
        yield options.label_config
        return
    with tempfile.NamedTemporaryFile('w', suffix='.xml', encoding='utf-8') as file:
        file.write(label_config(find_template(options.template)))
        file.flush()
        yield file.name


def _check_label_config(plugin: Plugin, path: str | None) -> None:
    """Refuse before the project is made, so that a second try finds nothing half done."""
    if path is None:
        raise SystemExit(
            f'ML backend "{plugin.name}" needs a label config: name one with --template NAME or --label-config FILE.'
        )
    with open(path, encoding='utf-8') as file:  # noqa: PTH123
        xml = file.read()
    try:
        plugin.backend_class().check(parse_label_config(xml))
    except LabelConfigError as error:
        reason = f'ML backend "{plugin.name}" cannot serve this label config: {error}'
        raise SystemExit(f'{reason}. {_others(plugin.name)}') from error


def _sampling(name: str) -> str:
    from label_studio.ml_host.upstream import Project

    return {'uniform': Project.UNIFORM, 'prediction-score-min': Project.UNCERTAINTY}.get(name, Project.SEQUENCE)


def enable_backend(project: Any, name: str, user: Any) -> None:
    """Enable a plugin; ends the command with the reason when it cannot be."""
    from label_studio.ml_host.enabling.services import enable

    try:
        enable(project, name, user)
    except MLPluginError as error:
        raise SystemExit(f'{error}. {_others(name)}') from error
    print(f'ML backend "{name}" is enabled on project "{project.title}"')


def connect_http_backend(project: Any, url: str, title: str | None) -> None:
    """Connect an ML backend that runs elsewhere, as upstream's page does."""
    from label_studio.ml_host.upstream import UpstreamMLBackend

    row = UpstreamMLBackend.objects.filter(project=project, url=url).first()
    if row is None:
        row = UpstreamMLBackend.objects.create(project=project, url=url, title=title or url)
    row.update_state()
    if project.show_collab_predictions and not project.model_version:
        project.model_version = row.title
        project.save(update_fields=['model_version'])
    state = 'connected' if row.state == 'CO' else f'not connected yet ({row.error_message or "no answer"})'
    print(f'ML backend "{row.title}" at {url} is {state}')
