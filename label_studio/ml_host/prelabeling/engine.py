"""Work on one shard of a bulk run: from its cursor to its end, or until somebody else shall go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.http_backends.rows import connection_of, is_http
from label_studio.ml_host.models import PrelabelRun, PrelabelShard, ProjectBackend
from label_studio.ml_host.prelabeling import lease as leases
from label_studio.ml_host.prelabeling import lifecycle, wakeup
from label_studio.ml_host.prelabeling.client import Answer, HopelessError, ModelClient, StoppedError
from label_studio.ml_host.prelabeling.courtesy import give_way
from label_studio.ml_host.prelabeling.errors import PrelabelError, WrongVersionError
from label_studio.ml_host.prelabeling.lease import Lease
from label_studio.ml_host.prelabeling.lifecycle import State
from label_studio.ml_host.prelabeling.loader import LoadingFiles
from label_studio.ml_host.prelabeling.pipeline import Piece, Pipeline
from label_studio.ml_host.prelabeling.reader import ShardReader
from label_studio.ml_host.prelabeling.store import Source
from label_studio.ml_host.prelabeling.versions import check_version_exists
from label_studio.ml_host.prelabeling.writer import Answers, LeaseLostError, ShardWriter
from label_studio.ml_host.serving import host
from label_studio.ml_host.task_data.resolver import files_of_project
from ml_plugins.task_data import without_task
from ml_plugins.types import Prediction, TaskFailure

logger = logging.getLogger(__name__)

# What is known is written at this many tasks or after this long, whichever comes first.
WRITE_TASKS = 300
WRITE_SECONDS = 0.5
# How often to look whether the run is still wanted as it is.
CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class Wanted:
    """What a run's work depends on; when it changes, the work begins anew."""

    label_config: str
    connection_id: int | None
    params: str


def work_on(lease: Lease, is_over: Callable[[], bool] = lambda: False) -> None:
    """Work on a shard, and write down how it ended.

    Args:
        lease: From `lease.claim`; it is released at the end.
        is_over: Asked now and then: whether it is another run's turn.
    """
    run = None
    try:
        shard = PrelabelShard.objects.select_related('run__project', 'run__version').get(pk=lease.shard_id)
        run = shard.run
        if run.state != State.RUNNING or run.cancel_requested:
            raise StoppedError
        _work(lease, run, shard, is_over)
    except (StoppedError, LeaseLostError, PrelabelShard.DoesNotExist) as error:
        logger.info('Work on shard %s stops: %s', lease.shard_id, type(error).__name__)
    except HopelessError as error:
        lifecycle.end(run, State.FAILED, str(error))
    except DatabaseError as error:
        _database_failed(run, error)
    except Exception as error:
        logger.exception('Pre-label run %s failed', lease.run_id)
        lifecycle.end(run, State.FAILED, f'{type(error).__name__}: {error}')
    finally:
        _leave(lease)
    if run is not None:
        lifecycle.end_if_complete(run)


def _leave(lease: Lease) -> None:
    try:
        leases.release(lease)
    except DatabaseError as error:
        logger.warning('The lease of shard %s runs out by itself: %s', lease.shard_id, error)
    wakeup.work.ring()


def _database_failed(run: PrelabelRun | None, error: DatabaseError) -> None:
    if run is not None and isinstance(error, IntegrityError):
        # Upstream's row of the backend is gone: it was disabled while its predictions were on their way.
        row = gate.active(run.project_id, run.backend)
        if row is not None:
            lifecycle.end(run, State.FAILED, f'The predictions cannot be stored: {error}')
        else:
            _disabled(run)
        return
    logger.warning('Work on a pre-label run is interrupted, the database does not answer: %s', error)
    raise error


def _disabled(run: PrelabelRun) -> None:
    lifecycle.end(run, State.CANCELLED, f'ML backend "{run.backend}" was disabled on this project.')


def _work(lease: Lease, run: PrelabelRun, shard: PrelabelShard, is_over: Callable[[], bool]) -> None:
    row = gate.active(run.project_id, run.backend)
    if row is None:
        _disabled(run)
        return
    try:
        check_version_exists(run)
    except WrongVersionError as error:
        raise HopelessError(str(error)) from error
    if is_http(run.backend):
        _settle(run, row)
    source = Source(run.project_id, row.connection_id, run.label)
    spec = host.spec_for(row, run.project.label_config, run.version)
    lifecycle.say(run.pk, '')
    client = ModelClient(spec, lease, partial(lifecycle.say, run.pk))
    client.load()
    size = 1 if run.one_by_one else max(1, spec.backend_class().max_batch)
    files = LoadingFiles(files_of_project(run.project), settings.ML_PRELABEL_LOADERS, settings.ML_PRELABEL_LOADED_BYTES)
    pipeline = Pipeline(ShardReader(run, shard, source), files, client, size, 1 if run.one_by_one else None)
    try:
        # What a model says that waits for its first version is for active learning, not for people.
        is_silent = run.version is None and host.needs_training(row)
        writer = ShardWriter(lease, shard, source, run.created_by, run.refresh, is_silent)
        _stream(pipeline, writer, shard, partial(_must_pause, lease, run, _wanted(run.project, row), is_over))
    finally:
        pipeline.close()
        files.close()


def _settle(run: PrelabelRun, row: ProjectBackend) -> None:
    from label_studio.ml_host.http_backends.runs import settle

    try:
        settle(run, row, connection_of(run.project_id, run.backend))
    except PrelabelError as error:
        raise HopelessError(str(error)) from error


def _stream(pipeline: Pipeline, writer: ShardWriter, shard: PrelabelShard, must_pause: Callable[[], bool]) -> None:
    answers = Answers(writer.cursor)
    written_at = checked_at = time.monotonic()
    while (found := pipeline.next()) is not None:
        _take(answers, *found)
        give_way()
        now = time.monotonic()
        if answers.size >= WRITE_TASKS or now - written_at >= WRITE_SECONDS:
            writer.write(answers)
            answers = Answers(writer.cursor)
            written_at = time.monotonic()
        if now - checked_at >= CHECK_SECONDS:
            checked_at = now
            if must_pause():
                pipeline.drain()
    if pipeline.is_complete:
        answers.cursor, answers.at_end = shard.last_id, True
    if answers.size or answers.at_end:
        writer.write(answers)


def _take(answers: Answers, piece: Piece, given: Sequence[Answer]) -> None:
    for task, answer in zip(piece.tasks, given, strict=True):
        if isinstance(answer, TaskFailure):
            answers.failures.append((task.id, without_task(task.id, answer.reason)))
            continue
        answers.done += 1
        if isinstance(answer, Prediction):
            answers.predictions.append((task.id, answer))
    answers.skipped += piece.skipped
    answers.cursor = piece.last_id


def _must_pause(lease: Lease, run: PrelabelRun, wanted: Wanted, is_over: Callable[[], bool]) -> bool:
    """Whether to stop after what is with the model: it is another's turn, or the run is to be looked at anew."""
    if lease.stop.is_set():
        raise StoppedError
    now = PrelabelRun.objects.select_related('project').filter(pk=run.pk, state=State.RUNNING).first()
    if now is None or now.cancel_requested:
        raise StoppedError
    row = gate.active(run.project_id, run.backend)
    return row is None or _wanted(now.project, row) != wanted or is_over()


def _wanted(project: Any, row: ProjectBackend) -> Wanted:
    return Wanted(project.label_config, row.connection_id, repr(sorted(row.params.items())))
