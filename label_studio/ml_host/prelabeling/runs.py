"""Start, cancel, resume and repeat bulk pre-labeling: what pages, API and the Data Manager call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.http_backends.rows import as_row, connection_of, is_http
from label_studio.ml_host.models import (
    BackendEvent,
    ModelVersion,
    PrelabelRun,
    PrelabelShard,
    ProjectBackend,
    version_label,
)
from label_studio.ml_host.prelabeling import wakeup
from label_studio.ml_host.prelabeling.errors import (
    BackendNotEnabledError,
    NothingToPrelabelError,
    PrelabelError,
    WrongStateError,
)
from label_studio.ml_host.prelabeling.lifecycle import State
from label_studio.ml_host.prelabeling.progress import Progress, progress
from label_studio.ml_host.prelabeling.selection import pack
from label_studio.ml_host.prelabeling.versions import check_version_exists, usable_version

__all__ = ['PrelabelError', 'Progress', 'cancel', 'progress', 'resume', 'retry_failed', 'set_prelabel_new', 'start']


def start(
    project: Any,
    backend: str,
    task_ids: Iterable[int] | None = None,
    version: ModelVersion | None = None,
    skip_predicted: bool = False,
    skip_labeled: bool = False,
    one_by_one: bool = False,
    user: Any = None,
) -> PrelabelRun:
    """Queue a bulk run; it begins at once unless another one of the same project and backend is running.

    Args:
        project: Upstream's project.
        backend: Name of the plugin.
        task_ids: Tasks to predict; None for every task that the project has now.
        version: Version to predict with; None for the one in service.
        skip_predicted: Leave out tasks with any prediction. Those with one of this very version are always left out.
        skip_labeled: Leave out tasks that are labeled.
        one_by_one: Predict each task alone.
        user: Who asked; None for the server itself.

    Returns:
        The run. A waiting run for every task with the same options is returned instead of making another one.

    Raises:
        BackendNotEnabledError: The backend is not enabled on the project.
        NeedsTrainingError: It has no version yet and needs one.
        WrongVersionError: The version is not one of this project and backend.
        NothingToPrelabelError: There are no tasks.
    """
    row = _enabled(project.pk, backend)
    version = usable_version(row, version)
    if is_http(backend):
        row = _ready(project.pk, backend)
    options = {'skip_predicted': skip_predicted, 'skip_labeled': skip_labeled, 'one_by_one': one_by_one}
    if task_ids is not None:
        packed, numbers = pack(task_ids)
        if not numbers:
            raise NothingToPrelabelError('No tasks are selected: there is nothing to pre-label.')
        return create_run(row, version, (numbers[0], numbers[-1]), len(numbers), packed, options, user)
    waiting = PrelabelRun.objects.filter(
        project=project, backend=backend, state=State.QUEUED, version=version, selection=None, refresh=False, **options
    ).first()
    if waiting is not None:
        return waiting
    found = _tasks(project.pk).aggregate(first=Min('id'), last=Max('id'), total=Count('id'))
    if not found['total']:
        raise NothingToPrelabelError(f'Project "{project.title}" has no tasks: there is nothing to pre-label.')
    return create_run(row, version, (found['first'], found['last']), found['total'], None, options, user)


def create_run(
    row: ProjectBackend,
    version: ModelVersion | None,
    span: tuple[int, int],
    total: int,
    packed: bytes | None,
    options: dict[str, bool],
    user: Any,
) -> PrelabelRun:
    """Write a queued run with its first shard; `start` checks, this one does not."""
    with transaction.atomic():
        run = PrelabelRun.objects.create(
            project_id=row.project_id,
            backend=row.backend,
            version=version,
            label=_label(row, version),
            created_by=_known(user),
            selection=packed,
            total=total,
            **options,
        )
        PrelabelShard.objects.create(run=run, first_id=span[0], last_id=span[1], cursor=span[0] - 1)
        # A refresh comes with each new version, which is on record.
        if not run.refresh:
            _audit(run, BackendEvent.Action.PRELABEL, user, total=total, label=run.label)
        transaction.on_commit(wakeup.work.ring)
    return run


def cancel(run: PrelabelRun, user: Any = None, reason: str = '') -> None:
    """End a waiting run at once, and let a running one write nothing more. An ended run stays as it is."""
    rows = PrelabelRun.objects.filter(pk=run.pk)
    with transaction.atomic():
        cancelled = rows.filter(state=State.QUEUED).update(
            state=State.CANCELLED, cancel_requested=True, error=reason, ended_at=timezone.now()
        ) or rows.filter(state=State.RUNNING, cancel_requested=False).update(
            cancel_requested=True, error=reason, note='Stopping'
        )
        if cancelled:
            # Waits for a write that is under way; whoever works on it finds its lease gone.
            PrelabelShard.objects.filter(run=run.pk).update(owner='', heartbeat_at=None)
            if user is not None or not run.refresh:
                _audit(run, BackendEvent.Action.PRELABEL_CANCEL, user)
            transaction.on_commit(wakeup.work.ring)
    run.refresh_from_db()


def cancel_all(project_id: int, reason: str, user: Any = None, backend: str | None = None) -> None:
    """Cancel what waits or runs for a project, or for one of its backends; nothing is written any more after that."""
    open_runs = PrelabelRun.objects.filter(project=project_id).exclude(state__in=PrelabelRun.ENDED)
    for run in open_runs if backend is None else open_runs.filter(backend=backend):
        cancel(run, user, reason)


def resume(run: PrelabelRun, user: Any = None) -> None:
    """Go on where a cancelled or failed run stopped; tasks that failed stay failed, see `retry_failed`.

    Raises:
        WrongStateError: It is waiting, running or finished.
        BackendNotEnabledError: The backend is not enabled any more.
        WrongVersionError: Its version was deleted.
    """
    run.refresh_from_db()
    check_version_exists(run)
    _enabled(run.project_id, run.backend)
    resumable = Q(state__in=(State.CANCELLED, State.FAILED))
    taken = PrelabelRun.objects.filter(resumable, pk=run.pk).update(
        state=State.QUEUED, cancel_requested=False, error='', note='', ended_at=None
    )
    if not taken:
        raise WrongStateError(f'Run {run.pk} is {run.get_state_display().lower()}: only a stopped run can be resumed.')
    run.refresh_from_db()
    _audit(run, BackendEvent.Action.PRELABEL, user, resumed=True)
    transaction.on_commit(wakeup.work.ring)


def retry_failed(run: PrelabelRun, user: Any = None) -> PrelabelRun:
    """Predict the failed tasks of an ended run again, each alone, with the same version.

    Returns:
        A new run.

    Raises:
        WrongStateError: The run has not ended.
        NothingToPrelabelError: No task failed.
        BackendNotEnabledError, WrongVersionError: As `resume`.
    """
    run.refresh_from_db()
    if not run.has_ended:
        raise WrongStateError(f'Run {run.pk} is {run.get_state_display().lower()}: wait for its end, or cancel it.')
    check_version_exists(run)
    failed = list(run.failures.values_list('task_id', flat=True))
    if not failed:
        raise NothingToPrelabelError(f'No task of run {run.pk} failed: there is nothing to retry.')
    row = _enabled(run.project_id, run.backend)
    packed, numbers = pack(failed)
    options = {'skip_predicted': run.skip_predicted, 'skip_labeled': run.skip_labeled, 'one_by_one': True}
    return create_run(row, run.version, (numbers[0], numbers[-1]), len(numbers), packed, options, user)


def set_prelabel_new(row: ProjectBackend, on: bool, user: Any = None) -> None:
    """Pre-label tasks that come from now on, or stop doing so."""
    newest = _tasks(row.project_id).aggregate(newest=Max('id'))['newest'] or 0
    changed = ProjectBackend.objects.filter(pk=row.pk, prelabel_new=not on).update(
        prelabel_new=on, prelabel_seen=newest, updated_at=timezone.now()
    )
    row.refresh_from_db(fields=['prelabel_new', 'prelabel_seen', 'updated_at'])
    if changed:
        _audit(row, BackendEvent.Action.PRELABEL_NEW, user, on=on)
        transaction.on_commit(wakeup.work.ring)


def _enabled(project_id: int, backend: str) -> ProjectBackend:
    row = gate.active(project_id, backend)
    if row is None:
        raise BackendNotEnabledError(
            f'ML backend "{backend}" is not enabled on project {project_id}; enable it on the ML backends page.'
        )
    return row


def _ready(project_id: int, backend: str) -> ProjectBackend:
    """The row of a backend by URL that answers, with the version that it has now."""
    from label_studio.ml_host.http_backends import runs as http_runs
    from label_studio.ml_host.serving import host

    connection = connection_of(project_id, backend)
    http_runs.check(connection)
    # What it answered in an earlier run says nothing about this one.
    host.drop(project_id, backend)
    return as_row(connection)


def _label(row: ProjectBackend, version: ModelVersion | None) -> str:
    if is_http(row.backend):
        return row.params['version']
    return version_label(row.backend, version.number if version else None)


def _tasks(project_id: int) -> Any:
    from label_studio.ml_host.upstream import Task

    return Task.objects.filter(project_id=project_id).order_by()


def _known(user: Any) -> Any:
    return user if user is not None and getattr(user, 'pk', None) else None


def _audit(about: Any, action: str, user: Any, **detail: Any) -> None:
    from label_studio.ml_host.enabling import services

    if isinstance(about, PrelabelRun):
        detail['run'] = about.pk
    services.audit(about.project, about.backend, action, user, **detail)
