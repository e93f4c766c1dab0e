"""Project and backend of ``label-studio start PROJECT --init``; upstream's own helpers do the work."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from label_studio.ml_host.cli.templates import find_template, label_config
from ml_plugins.exceptions import LabelConfigError, MLPluginError
from ml_plugins.failures import describe
from ml_plugins.label_config import parse_label_config
from ml_plugins.registry import Plugin, registry

if TYPE_CHECKING:
    from collections.abc import Iterator


def usable_backend(name: str) -> Plugin:
    """A plugin that loads, backend class and all; ends the command with the reason otherwise."""
    try:
        plugin = registry.get(name)
    except MLPluginError as error:
        raise SystemExit(str(error)) from error
    if plugin.is_waiting:
        raise SystemExit(f'ML backend "{name}" cannot be used yet: {plugin.missing}. {_others(name)}')
    if problem := _problem(plugin):
        raise SystemExit(f'ML backend "{name}" is broken ({problem}). {_others(name)}')
    return plugin


def installed_backends() -> str:
    """Names of what is installed, the broken ones with the reason, for a sentence."""
    return ', '.join(f'{plugin.name}{_remark(plugin)}' for plugin in registry.all()) or 'none'


def _remark(plugin: Plugin) -> str:
    if plugin.is_waiting:
        return f' ({plugin.missing})'
    problem = _problem(plugin)
    return f' (broken: {problem})' if problem else ''


def _problem(plugin: Plugin) -> str:
    """Why a plugin cannot be used, in a line; an empty string when it can."""
    if failures := plugin.load_failures:
        return f'{failures[0].stage.value}: {failures[0].error}'
    try:
        plugin.backend_class()
    except (Exception, SystemExit) as error:
        return describe(error)
    return ''


def _others(name: str) -> str:
    others = [plugin.name for plugin in registry.all() if plugin.name != name and not _problem(plugin)]
    return f'Other ML backends here: {", ".join(others) or "none"}'


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
    check_label_config(options, plugin)
    with _label_config_file(options) as path:
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


def check_label_config(options: argparse.Namespace, plugin: Plugin | None) -> None:
    """Refuse before the project is made, so that a second try finds nothing half done."""
    if plugin is None:
        return
    with _label_config_file(options) as path:
        if path is None:
            raise SystemExit(
                f'ML backend "{plugin.name}" needs a label config: name one with --template NAME or --label-config FILE'
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
