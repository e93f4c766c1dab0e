"""What a person can do to a backend of a project; pages, API and admin all call these.

Each function raises an `MLPluginError` with a sentence for the person when it cannot be done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from label_studio.ml_host.enabling import gate, services
from label_studio.ml_host.models import (
    BackendEvent,
    LabelErrorRun,
    LabelReview,
    ModelVersion,
    PrelabelRun,
    ProjectBackend,
    ReplayRun,
    SamplingPlan,
    TrainingRun,
)
from ml_plugins.exceptions import MLPluginError, PluginBrokenError
from ml_plugins.failures import Stage, describe, record_failure
from ml_plugins.registry import registry

if TYPE_CHECKING:
    from label_studio.ml_host.versions.package import Download


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


def repeat_version(version: ModelVersion, user=None) -> TrainingRun:
    """Train a version once more: from the same annotations, with the same parameters and seed."""
    from label_studio.ml_host.training import runs

    with plugin_code(version.backend, version.project_id):
        return runs.repeat(version, user)


def cancel(run: TrainingRun, user=None) -> None:
    """Stop a training that waits or runs."""
    from label_studio.ml_host.training import runs

    runs.cancel(run, user)


def put_in_service(version: ModelVersion, user=None) -> None:
    """Make predictions come from this version from now on."""
    from label_studio.ml_host.versions import service

    service.put_in_service(version, user)


def archive_version(version: ModelVersion, user=None) -> None:
    """Put a version aside: it is kept, and does not go into service."""
    from label_studio.ml_host.versions import service

    service.archive(version, user)


def unarchive_version(version: ModelVersion, user=None) -> None:
    """Make a version that was put aside a candidate again."""
    from label_studio.ml_host.versions import service

    service.unarchive(version, user)


def delete_version(version: ModelVersion, user=None) -> None:
    """Remove a version with its files."""
    from label_studio.ml_host.versions import service

    service.delete(version, user)


def download_version(version: ModelVersion) -> Download:
    """A version as one file that another server takes."""
    from label_studio.ml_host.versions import package

    return package.download(version)


def upload_version(project, backend: str, file: BinaryIO, user=None) -> ModelVersion:
    """Add a version from a file that `download_version` made, here or on another server; it becomes a candidate."""
    from label_studio.ml_host.versions import uploading

    with plugin_code(backend, project.pk):
        return uploading.upload(project, backend, file, user)


def reset_breaker(project, backend: str, user=None) -> None:
    """Let a backend that rests after repeated failures work again."""
    from label_studio.ml_host.serving import host

    registry.get(backend)
    host.reset_breaker(project.pk, backend)
    services.audit(project, backend, BackendEvent.Action.RESET, user)


def prelabel(
    project,
    backend: str,
    *,
    task_ids: Iterable[int] | None = None,
    version: ModelVersion | None = None,
    skip_predicted: bool = False,
    skip_labeled: bool = False,
    user=None,
) -> PrelabelRun:
    """Predict many tasks in the background; None stands for every task, and for the version in service."""
    from label_studio.ml_host.prelabeling import runs

    with plugin_code(backend, project.pk):
        return runs.start(
            project,
            backend,
            task_ids=task_ids,
            version=version,
            skip_predicted=skip_predicted,
            skip_labeled=skip_labeled,
            user=user,
        )


def cancel_prelabel(run: PrelabelRun, user=None) -> None:
    """Stop a pre-labeling that waits or runs; what is predicted stays."""
    from label_studio.ml_host.prelabeling import runs

    runs.cancel(run, user)


def resume_prelabel(run: PrelabelRun, user=None) -> None:
    """Go on with a pre-labeling where it stopped."""
    from label_studio.ml_host.prelabeling import runs

    with plugin_code(run.backend, run.project_id):
        runs.resume(run, user)


def retry_failed(run: PrelabelRun, user=None) -> PrelabelRun:
    """Predict the tasks once more that a pre-labeling could not predict."""
    from label_studio.ml_host.prelabeling import runs

    with plugin_code(run.backend, run.project_id):
        return runs.retry_failed(run, user)


def set_prelabel_new(project, backend: str, on: bool, user=None) -> None:
    """Switch the pre-labeling of new tasks on or off."""
    from label_studio.ml_host.prelabeling import errors, runs

    row = gate.active(project.pk, backend)
    # A backend that is connected by URL has no row that could say so.
    if row is None or row.pk is None:
        raise errors.BackendNotEnabledError(
            f'ML backend "{backend}" is not enabled on project {project.pk}; enable it on the ML backends page.'
        )
    runs.set_prelabel_new(row, on, user)


def set_learning(
    project, backend: str, on: bool | None, values: Mapping[str, Any] | None = None, user=None
) -> ProjectBackend:
    """Switch learning while labeling on or off, or change how a backend learns; None leaves the switch as it is."""
    from label_studio.ml_host.learning import services as learning

    return learning.set_learning(project, backend, on, values or {}, user)


def set_sampling(
    project, backend: str, on: bool | None, values: Mapping[str, Any] | None = None, user=None
) -> SamplingPlan:
    """Switch active learning on or off, or change how tasks are chosen; None leaves the switch as it is."""
    from label_studio.ml_host.sampling import services as sampling

    return sampling.set_sampling(project, backend, on, values or {}, user)


def start_replay(project, backend: str, values: Mapping[str, Any], user=None) -> ReplayRun:
    """Run query strategies against each other over labels that are there, in the background."""
    from label_studio.ml_host.replay import services as replay

    with plugin_code(backend, project.pk):
        return replay.start(project, backend, values, user)


def cancel_replay(run: ReplayRun) -> None:
    """Stop a replay that waits or runs; what it found so far stays."""
    from label_studio.ml_host.replay import services as replay

    replay.cancel(run)


def look_for_label_errors(project, backend: str, control: str = '', user=None) -> LabelErrorRun:
    """List the labels of a project that are doubtful, in the background."""
    from label_studio.ml_host.label_errors import services as label_errors

    with plugin_code(backend, project.pk):
        return label_errors.start(project, backend, control, user)


def cancel_label_errors(run: LabelErrorRun) -> None:
    """Stop a look for label errors that waits or runs."""
    from label_studio.ml_host.label_errors import services as label_errors

    label_errors.cancel(run)


def review_label(run: LabelErrorRun, annotation_id: int, verdict: str, user=None) -> LabelReview | None:
    """Say of a suspected label that it is right, or ask somebody else; an empty verdict takes back."""
    from label_studio.ml_host.label_errors import services as label_errors

    return label_errors.review(run, annotation_id, verdict, user)


def refresh_findings(project, backend: str) -> None:
    """Have it worked out in the background now whether active learning is worth it."""
    from label_studio.ml_host.sampling import services as sampling

    sampling.refresh(project, backend)


def use_strategy_again(project, backend: str, user=None) -> None:
    """Let a strategy choose again that did worse than random."""
    from label_studio.ml_host.sampling import services as sampling

    sampling.use_again(project, backend, user)
