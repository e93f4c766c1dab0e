"""Start, cancel and recover training runs: what pages, API and signals call."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from label_studio.ml_host.models import ModelVersion, TrainingRun
from label_studio.ml_host.training.errors import (
    CannotTrainError,
    NotEnabledError,
    NotRepeatableError,
    QueueUnavailableError,
)
from label_studio.ml_host.training.lifecycle import State
from label_studio.ml_host.training.queueing import check_queue, enqueue, remove_jobs
from label_studio.ml_host.training.recovery import recover_lost_runs
from label_studio.ml_host.training.repeating import check_repeatable, create_repeat
from ml_plugins.exceptions import MLPluginError, TrainingError

__all__ = [
    'CannotTrainError',
    'NotEnabledError',
    'NotRepeatableError',
    'QueueUnavailableError',
    'TrainingError',
    'cancel',
    'recover_lost_runs',
    'repeat',
    'request_training',
]


def request_training(project: Any, backend: str, user: Any = None, trigger: str = '') -> TrainingRun:
    """Queue a training run, or return the one that is waiting already.

    Args:
        project: Upstream's project.
        backend: Name of the plugin.
        user: Who asked; None for the server itself.
        trigger: What led to it, such as "10 new labels"; empty for a person.

    Raises:
        NotEnabledError: The backend is not enabled on the project.
        CannotTrainError: The backend has no ``fit``.
        QueueUnavailableError: Redis cannot be reached; no run is left behind.
    """
    params = _trainable(project, backend)
    check_queue()
    waiting = TrainingRun.objects.filter(project=project, backend=backend, state=State.QUEUED)
    while True:
        run = waiting.first()
        if run is not None:
            if user is not None and run.created_by_id is None:
                # Somebody waits for it now, so it goes before those that nobody waits for.
                waiting.filter(pk=run.pk).update(created_by=user)
                run.created_by = user
            return run
        try:
            with transaction.atomic():
                run = TrainingRun.objects.create(
                    project=project, backend=backend, created_by=user, params=params, trigger=trigger
                )
            break
        except IntegrityError:
            # Somebody else was quicker; their run is the answer, unless a worker has taken it by now.
            continue
    # A worker must not look for the row before it is committed.
    transaction.on_commit(lambda: _start(run, user))
    return run


def repeat(version: ModelVersion, user: Any = None) -> TrainingRun:
    """Queue a run that trains a version again, to the same result; what comes out waits as a candidate.

    Args:
        version: What to train again.
        user: Who asked.

    Raises:
        NotRepeatableError: Something that it was trained on is not there any more, or another run is waiting.
        NotEnabledError: The backend is not enabled on the project.
        CannotTrainError: The backend has no ``fit``.
        QueueUnavailableError: Redis cannot be reached; no run is left behind.
    """
    _trainable(version.project, version.backend)
    check_repeatable(version)
    check_queue()
    try:
        with transaction.atomic():
            run = create_repeat(version, user)
    except IntegrityError:
        raise NotRepeatableError(
            f'Version {version.number} cannot be trained again now: another training of "{version.backend}" is '
            'waiting. Try again when that has begun, or cancel it.'
        ) from None
    transaction.on_commit(lambda: _start(run, user))
    return run


def cancel(run: TrainingRun, user: Any = None) -> None:
    """End a waiting run at once; ask a running one to stop. An ended run stays as it is."""
    rows = TrainingRun.objects.filter(pk=run.pk)
    if rows.filter(state=State.QUEUED).update(state=State.CANCELLED, cancel_requested=True, ended_at=timezone.now()):
        transaction.on_commit(lambda: remove_jobs(run))
    elif not rows.filter(state=State.RUNNING, cancel_requested=False).update(cancel_requested=True):
        run.refresh_from_db()
        return
    run.refresh_from_db()
    _audit(run, 'cancel', user)


def _trainable(project: Any, backend: str) -> dict[str, Any]:
    from label_studio.ml_host.enabling import gate
    from ml_plugins.registry import registry

    row = gate.active(project.pk, backend)
    if row is None:
        raise NotEnabledError(f'ML backend "{backend}" is not enabled on project {project.pk}; enable it first.')
    try:
        backend_class = registry.get(backend).backend_class()
    except MLPluginError as error:
        raise CannotTrainError(f'ML backend "{backend}" cannot be loaded: {error}') from error
    except Exception as error:
        raise CannotTrainError(f'ML backend "{backend}" cannot be imported: {error}') from error
    if not backend_class.can_fit():
        raise CannotTrainError(f'ML backend "{backend}" does not train; it predicts with the model it comes with.')
    return dict(row.params)


def _start(run: TrainingRun, user: Any) -> None:
    try:
        enqueue(run)
    except QueueUnavailableError:
        run.delete()
        raise
    _audit(run, 'train', user)


def _audit(run: TrainingRun, action: str, user: Any) -> None:
    from label_studio.ml_host.enabling import services

    trigger = {'trigger': run.trigger} if run.trigger else {}
    services.audit(run.project, run.backend, action, user, run=run.pk, **trigger)
