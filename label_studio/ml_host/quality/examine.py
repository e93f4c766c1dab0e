"""Measure a new version on the held-out tasks, and decide whether it goes into service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from pathlib import Path

from django.db import DatabaseError
from django.db.models import Max

from label_studio.ml_host.models import ModelVersion, TrainingRun
from label_studio.ml_host.quality.answers import Answers, pack
from label_studio.ml_host.quality.examination import Examination
from label_studio.ml_host.quality.held_out import chosen
from label_studio.ml_host.quality.predicting import Said, UnusableVersionError, ask, model_of
from label_studio.ml_host.quality.rival import hold_against
from label_studio.ml_host.quality.rules import BY_HAND, REPEATED, Rival, decide
from label_studio.ml_host.quality.scoring import scorer_for
from label_studio.ml_host.quality.statistics import score_of
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.recorder import Recorder
from ml_plugins.backend import Dataset
from ml_plugins.exceptions import TrainingCancelledError
from ml_plugins.failures import Stage, describe, record_failure
from ml_plugins.types import Example, VersionFiles

logger = logging.getLogger(__name__)


def examine(
    run: TrainingRun,
    dataset: Dataset,
    directory: Path,
    recorder: Recorder,
    rule: str,
    rival: ModelVersion | None,
    skipped: Collection[int | None] = (),
) -> Examination:
    """Load a new version, measure it on the held-out tasks and hold it against the one in service.

    Answers of the version in service that are missing are predicted with it now, and kept.

    Args:
        run: The running run.
        dataset: What the version was trained on, with its held-out split.
        directory: The version's files, not published yet.
        recorder: Log and stop of the run.
        rule: When a version goes into service, one of `learning.settings.RULES`.
        rival: The version in service, or None.
        skipped: Tasks that cannot be used, as `fit` reported.

    Raises:
        TrainingCancelledError: The run was cancelled, or taken away.
    """
    # A version that somebody trains again is there to be looked at.
    rule = rule if run.repeats_id is None else REPEATED
    try:
        return _examined(run, dataset, directory, recorder, rule, rival, skipped)
    except (TrainingCancelledError, DatabaseError):
        raise
    except Exception as error:
        # Hours of training are not lost because what they made could not be measured.
        record_failure(run.backend, Stage.FIT, error, run.project_id)
        return _unmeasured(recorder, rule, rival, describe(error))


def _examined(
    run: TrainingRun,
    dataset: Dataset,
    directory: Path,
    recorder: Recorder,
    rule: str,
    rival: ModelVersion | None,
    skipped: Collection[int | None],
) -> Examination:
    examples = chosen(run.project_id, dataset, skipped)
    stop = _stop(recorder)
    try:
        said = _ask(run, dataset, directory, recorder, examples, stop)
    except UnusableVersionError as error:
        recorder.log(f'The new version cannot be used: {error}')
        return Examination(False, f'It cannot be used: {error}', failed=True)
    if not examples:
        return _decided(recorder, rule, None, None if rival is None else Rival(rival.number))
    if not said.predictions:
        return _unmeasured(recorder, rule, rival, next(iter(said.unreadable.values()), 'the worker was stopped before'))
    scorer = scorer_for(run.project, run.backend)
    answers = scorer.answers(said, {task_id: example.annotation.result for task_id, example in examples.items()})
    held = None
    if rival is not None:
        tasks = {task_id: example.task for task_id, example in examples.items()}
        held = hold_against(run, rival, answers, tasks, scorer, recorder, stop)
    return _decided(recorder, rule, answers, held)


def _ask(
    run: TrainingRun,
    dataset: Dataset,
    directory: Path,
    recorder: Recorder,
    examples: Mapping[int, Example],
    stop: Callable[[], bool],
) -> Said:
    """What the new version says on the held-out tasks; where there are none, whether it can say anything at all."""
    if examples:
        recorder.log(f'The new version is measured on {len(examples)} held-out tasks.')
        tasks = [example.task for example in examples.values()]
    else:
        tasks = [example.task for example in islice(dataset.train, 1)]
    versions = ModelVersion.objects.filter(project=run.project_id, backend=run.backend)
    latest = patiently(lambda: versions.aggregate(latest=Max('number'))['latest'])
    files = VersionFiles((latest or 0) + 1, Path(directory), dict(recorder.metrics))
    return ask(model_of(run.project, run.backend, run.params, lambda: files, recorder.device), tasks, stop)


def _stop(recorder: Recorder) -> Callable[[], bool]:
    """Asked between batches: a cancelled run ends here, a worker that shuts down publishes what it has."""

    def stop() -> bool:
        if recorder.flags.cancelled.is_set() or recorder.flags.taken_away.is_set():
            recorder.flags.check()
        return recorder.should_stop()

    return stop


def _decided(recorder: Recorder, rule: str, answers: Answers | None, rival: Rival | None) -> Examination:
    score = score_of([item.agreement for item in answers.by_task.values()]) if answers is not None else None
    serve, reason = decide(rule, score, rival)
    recorder.log(f'The new version {"goes" if serve else "does not go"} into service. {reason}')
    return Examination(serve, reason, score, pack(answers) if answers is not None else None)


def _unmeasured(recorder: Recorder, rule: str, rival: ModelVersion | None, why: str) -> Examination:
    """It loads, and no held-out task could be measured: nothing speaks for it but that there is no other."""
    serve = rival is None and rule not in BY_HAND
    reason = f'No held-out task could be measured: {why}'
    recorder.log(f'The new version {"goes" if serve else "does not go"} into service. {reason}')
    return Examination(serve, reason)
