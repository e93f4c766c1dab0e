"""What a person can do to a backend of a project; pages, API and admin all call these.

Each function raises an `MLPluginError` with a sentence for the person when it cannot be done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend, TrainingRun
from ml_plugins.exceptions import MLPluginError, PluginBrokenError
from ml_plugins.failures import Stage, describe, record_failure
from ml_plugins.registry import registry


@contextmanager
def plugin_code(backend: str, project_id: int) -> Iterator[None]:
    """Turn whatever a plugin's own code raises into a recorded failure and one sentence."""
    try:
        yield
    except MLPluginError:
        raise
    except (Exception, SystemExit) as error:
        record_failure(backend, Stage.CHECK, error, project_id)
        raise PluginBrokenError(f'Plugin "{backend}" is broken (check: {describe(error)})') from error


def switch(project, backend: str, on: bool, user=None) -> ProjectBackend:
    """Enable or disable a backend for a project."""
    if not on:
        return services.disable(project, backend, user)
    with plugin_code(backend, project.pk):
        services.check_servable(project, registry.get(backend))
    return services.enable(project, backend, user)


def change_params(project, backend: str, values: dict[str, Any], user=None) -> ProjectBackend:
    """Set a backend's parameters for a project; names left out go back to their default."""
    with plugin_code(backend, project.pk):
        registry.get(backend).backend_class()
    return services.set_params(project, backend, values, user)


def train(project, backend: str, user=None) -> TrainingRun:
    """Ask for a training; the run that waits already is returned when there is one."""
    from label_studio.ml_host.training import runs

    with plugin_code(backend, project.pk):
        registry.get(backend).backend_class()
    return runs.request_training(project, backend, user)


def cancel(run: TrainingRun, user=None) -> None:
    """Stop a training that waits or runs."""
    from label_studio.ml_host.training import runs

    runs.cancel(run, user)


def put_in_service(version: ModelVersion, user=None) -> None:
    """Make predictions come from this version from now on."""
    from label_studio.ml_host.training import versions

    versions.put_in_service(version, user)


def reset_breaker(project, backend: str, user=None) -> None:
    """Let a backend that rests after repeated failures work again."""
    from label_studio.ml_host.serving import host

    registry.get(backend)
    host.reset_breaker(project.pk, backend)
    services.audit(project, backend, BackendEvent.Action.RESET, user)
