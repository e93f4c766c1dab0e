"""The django-rq entry: take a run, execute it, and write down how it ended."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from django.conf import settings

from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training import execute, lifecycle
from label_studio.ml_host.training.checkpoints import remove_if_ended
from label_studio.ml_host.training.lifecycle import State
from label_studio.ml_host.training.order import in_turn
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.reasons import Reason, reason_of
from label_studio.ml_host.training.recorder import Recorder
from label_studio.ml_host.training.recovery import recover_lost_runs
from label_studio.ml_host.training.run_log import RunLog
from ml_plugins.exceptions import TrainingCancelledError
from ml_plugins.failures import Stage, record_failure

logger = logging.getLogger(__name__)


def train(run_id: int) -> None:
    """Execute the waiting run whose turn it is; does nothing when none may begin.

    Args:
        run_id: The run that was queued; another one may come first.
    """
    run = _take()
    if run is None and recover_lost_runs():
        # What held the place may have been a lost run.
        run = _take()
    if run is None:
        logger.info('No training run is to be started now; run %s was cancelled or waits for another one', run_id)
        return
    try:
        _train(run)
    finally:
        lifecycle.start_waiting(run)


def _take() -> TrainingRun | None:
    for number in in_turn():
        # Another worker may be quicker.
        if (run := lifecycle.claim(number)) is not None:
            return run
    return None


def _train(run: TrainingRun) -> None:
    log = RunLog(run_log_path(Path(settings.ML_LOG_DIR), run.pk))
    log.write(f'Training of {run.backend} starts, attempt {run.attempts}, in {run.worker}')
    work: Path | None = None
    recorder: Recorder | None = None
    try:
        work = execute.new_work_directory(run)
        recorder = execute.open_recorder(run, log, work)
        with recorder:
            version = execute.train_and_publish(run, recorder, log)
        log.write(_outcome(run, version))
    except (Exception, SystemExit) as error:
        # The reason is asked for while a full disk is still full; the row is written once there is room again.
        reason, text = reason_of(error), traceback.format_exc()
        execute.remove_work_directory(work)
        _end(run, recorder, error, reason, text, log)
    finally:
        execute.remove_work_directory(work)
        log.close()
        remove_if_ended(run)


def _end(
    run: TrainingRun, recorder: Recorder | None, error: BaseException, reason: Reason, text: str, log: RunLog
) -> None:
    flags = recorder.flags if recorder is not None else None
    if flags is not None and flags.cancelled.is_set():
        log.write('Cancelled.')
        lifecycle.finish(run, State.CANCELLED)
    elif flags is not None and flags.shutdown and isinstance(error, TrainingCancelledError):
        log.write('The worker stops; the run goes back into the queue.')
        lifecycle.hand_back(run)
    elif isinstance(error, TrainingCancelledError):
        log.write(str(error))
        lifecycle.finish(run, State.CANCELLED, str(error))
    else:
        log.write(f'Failed: {reason.sentence}')
        if reason.is_defect:
            log.write(text)
            record_failure(run.backend, Stage.FIT, error, run.project_id)
        logger.warning(
            'Training run %s of %s on project %s failed: %s', run.pk, run.backend, run.project_id, reason.sentence
        )
        # Where nothing is broken, the sentence says it all.
        lifecycle.finish(run, State.FAILED, reason.sentence, text if reason.is_defect else '')


def _outcome(run: TrainingRun, version: ModelVersion) -> str:
    """The last line of the log."""
    serves = patiently(lambda: ProjectBackend.objects.filter(in_service=version).exists())
    said = f'Version {version.number} is {"in service" if serves else "kept as a candidate"}.'
    if version.reason:
        said += f' {version.reason}'
    if run.repeats is not None:
        same = 'the same, byte for byte, as' if version.digest == run.repeats.digest else 'not the same as'
        said += f' Its files are {same} those of version {run.repeats.number}.'
    return f'{said} {_shown(version.metrics)}'


def _shown(metrics: dict[str, float | None]) -> str:
    return ', '.join(f'{name} {value:.4g}' for name, value in metrics.items() if value is not None)
