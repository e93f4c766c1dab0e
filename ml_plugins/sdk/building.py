"""Make an instance of a class of the SDK, and say what to do where that fails."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import threading
import traceback
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.sdk.namespace import ROOT, Namespace
from ml_plugins.sdk.session import TOKEN, Session
from ml_plugins.sdk.sources import BASE, SdkSource, missing_imports

# What the SDK's own server needs, and what the server that we run in brings.
_NOT_NEEDED = frozenset(
    {'gunicorn', 'redis', 'rq', *(f'label-studio-{part}' for part in ('converter', 'ml', 'sdk', 'tools'))}
)
# The same library under another name.
_SAME = {'opencv-python': 'opencv-python-headless', 'opencv-python-headless': 'opencv-python'}
_environment = threading.Lock()


def missing_requirements(source: SdkSource) -> list[str]:
    """Names in its list of requirements that are not installed; versions are not compared."""
    if source.requirements is None:
        return []
    missing = []
    for line in source.requirements.read_text(encoding='utf-8', errors='replace').splitlines():
        text = line.partition(' #')[0].strip()
        if not text or text.startswith(('#', '-')):
            continue
        with contextlib.suppress(InvalidRequirement):
            wanted = Requirement(text)
            applies = wanted.marker is None or wanted.marker.evaluate()
            name = _normal(wanted.name)
            found = name in _NOT_NEEDED or _is_installed(name) or (name in _SAME and _is_installed(_SAME[name]))
            if applies and not found:
                missing.append(wanted.name)
    return missing


def check_imports(source: SdkSource) -> None:
    """Refuse a backend that imports what is not installed; nothing is imported to find that out.

    Raises:
        PluginBrokenError: Names the package and the command.
    """
    missing = missing_imports(source)
    if missing:
        raise PluginBrokenError(_not_installed(source, missing[0]))


@contextlib.contextmanager
def import_environment(directory: Path) -> Iterator[None]:
    """What classes read while they are imported: ``MODEL_DIR``, and tokens that nobody checks in this process."""
    with _environment:
        wanted = {name: os.environ.get(name) or TOKEN for name in ('LABEL_STUDIO_API_KEY', 'LABEL_STUDIO_ACCESS_TOKEN')}
        wanted['MODEL_DIR'] = str(directory)
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def build(source: SdkSource, session: Session, label_config: str, train_output: Mapping[str, Any] | None = None) -> Any:
    """Import the class afresh and make an instance; the session must be active.

    Raises:
        PluginBrokenError: A package or an environment variable is missing, or the class is not there.
        Exception: Whatever the class raises.
    """
    with explained(source):
        found = _import_class(source, session.directory)
        arguments = {
            'project_id': '' if session.project_id is None else str(session.project_id),
            'label_config': label_config,
            'train_output': dict(train_output or {}),
        }
        return found(**accepted(found.__init__, arguments))


def check_import(source: SdkSource) -> None:
    """Import the class as for a model, without making one. Raises what `build` raises."""
    with TemporaryDirectory() as folder, Session(source.plugin, None, Path(folder)).active(), explained(source):
        _import_class(source, Path(folder))


def accepted(function: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function takes by name."""
    parameters = inspect.signature(function).parameters.values()
    if any(item.kind is item.VAR_KEYWORD for item in parameters):
        return dict(arguments)
    names = {item.name for item in parameters if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)}
    return {name: value for name, value in arguments.items() if name in names}


@contextlib.contextmanager
def explained(source: SdkSource) -> Iterator[None]:
    """Turn what a missing package or environment variable raises into a sentence with what to do."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise PluginBrokenError(_without_package(source, error)) from error
    except KeyError as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if not (last.filename == os.__file__ or re.search(r'[\\/]os\.py$|<frozen os>', last.filename)):
            raise
        raise PluginBrokenError(
            f'the environment variable {error.args[0]} is not set; {source.class_name} reads it: '
            f'set it before the server is started'
        ) from error
    except SystemExit as error:
        raise PluginBrokenError(f'{source.class_name} tried to end the server: SystemExit({error.code!r})') from error


def _import_class(source: SdkSource, directory: Path) -> type:
    with import_environment(directory):
        module = Namespace(source.plugin, source.folder, source.only).load(source.module)
    found = getattr(module, source.class_name, None)
    if not isinstance(found, type):
        raise PluginBrokenError(f'{source.module} has no class {source.class_name}')
    return found


def _without_package(source: SdkSource, error: ModuleNotFoundError) -> str:
    name = error.name or str(error)
    if name.startswith(('ml_plugins.sdk.provided', f'{ROOT}.', f'{BASE}.')):
        return f'{source.module}: {error}; that part of the SDK is not provided here'
    return _not_installed(source, name.partition('.')[0])


def _not_installed(source: SdkSource, package: str) -> str:
    command = f'pip install -r {source.requirements}' if source.requirements else f'pip install {package}'
    return f'the package "{package}" is not installed, and {source.class_name} imports it; run: {command}'


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _normal(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()
