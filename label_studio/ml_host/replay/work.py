"""Do a replay, in a worker: one walk, which is one strategy with one seed, after another."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
from django.conf import settings

from label_studio.ml_host.analysis.errors import AnalysisError
from label_studio.ml_host.analysis.features import features_of
from label_studio.ml_host.analysis.jobs import GaveWayError
from label_studio.ml_host.analysis.labels import GivenLabel, check_counts, given_labels
from label_studio.ml_host.analysis.lifecycle import check_enabled
from label_studio.ml_host.analysis.queueing import others_wait
from label_studio.ml_host.analysis.reporter import Reporter
from label_studio.ml_host.models import ReplayRun
from label_studio.ml_host.replay.options import ReplayOptions
from label_studio.ml_host.replay.report import summary
from label_studio.ml_host.replay.result import ArmFound, Found
from label_studio.ml_host.replay.services import FEWEST_LABELS, MOST_READ, WHAT, rule_of
from label_studio.ml_host.training.device import training_device
from ml_plugins.exceptions import MLPluginError, TrainingCancelledError
from ml_plugins.failures import describe
from ml_plugins.strategies import Arm, Needs, ReplayData, run_replay, strategy

logger = logging.getLogger(__name__)

# More tasks than these are drawn from at random: what comes of them is the same, and takes longer.
MOST_TASKS = 5000
# A strategy whose process was lost so often takes no further part.
MOST_LOST = 2
_PARTS = 100
GAVE_WAY = 'Trainings and pre-labeling go first; it goes on where it stopped when a worker is free.'


def work(run: ReplayRun, reporter: Reporter) -> dict[str, Any]:
    """Walk every strategy with every seed; returns what the run's row keeps.

    Raises:
        AnalysisError: There is too little to go by.
        GaveWayError: Others wait for the worker.
        TrainingCancelledError: The run was cancelled, or the worker stops.
    """
    options = ReplayOptions(**run.options)
    data, found = _prepared(run, options, reporter)
    found.resume(run.result)
    walks = [(seed, arm) for seed in range(options.seeds) for arm in found.arms]
    for number, (seed, arm) in enumerate(walks):
        if arm.lost >= MOST_LOST:
            arm.error = arm.error or f'Its process was lost {arm.lost} times.'
        if arm.error or str(seed) in arm.runs:
            continue
        found.walking = ''
        if others_wait():
            reporter.keep(_result(found, is_complete=False))
            raise GaveWayError(GAVE_WAY)
        found.walking = arm.name
        reporter.keep(_result(found, is_complete=False))
        try:
            _walk(arm, seed, data, found, options, reporter, number, len(walks))
        except TrainingCancelledError:
            # It stops in good order: nothing is lost but this walk.
            found.walking = ''
            reporter.keep(_result(found, is_complete=False))
            raise
    found.walking = ''
    if not any(arm.runs for arm in found.arms):
        reporter.keep(_result(found, is_complete=False))
        raise AnalysisError(f'No strategy came to an end. {found.arms[0].title}: {found.arms[0].error}')
    return _result(found, is_complete=True)


def _walk(
    arm: ArmFound,
    seed: int,
    data: ReplayData,
    found: Found,
    options: ReplayOptions,
    reporter: Reporter,
    number: int,
    walks: int,
) -> None:
    def told(done: int, total: int, _sentence: str) -> None:
        labels = options.batch * (done + 1)
        note = f'{arm.title}, repetition {seed + 1} of {options.seeds}: {labels} labels'
        reporter.progress(_PARTS * number + _PARTS * done // max(1, total), _PARTS * walks, note)

    started = time.monotonic()
    try:
        with reporter.step(settings.ML_SAMPLING_TIMEOUT):
            chosen = strategy(arm.name)
            if reason := chosen.why_not(Needs(probabilities=True, embeddings=data.has_embeddings)):
                raise AnalysisError(reason)
            report = run_replay(
                data,
                [Arm(arm.name, chosen)],
                seeds=(seed,),
                batch=options.batch,
                most_labels=options.labels,
                progress=told,
                should_stop=reporter.should_stop,
            )
            if report.cancelled:
                raise TrainingCancelledError('The run was cancelled.')
    except TrainingCancelledError:
        raise
    except (Exception, SystemExit) as error:
        # What breaks one strategy is no reason to leave the others out.
        logger.warning('Strategy "%s" failed in a replay', arm.name, exc_info=True)
        arm.error = str(error) if isinstance(error, (MLPluginError, TimeoutError)) else describe(error)
        return
    curve = report.curves[0]
    arm.seconds += time.monotonic() - started
    arm.runs[str(seed)] = [float(value) for value in curve.runs[0]]
    found.labels = [point.labels for point in curve.points]


def _prepared(run: ReplayRun, options: ReplayOptions, reporter: Reporter) -> tuple[ReplayData, Found]:
    reporter.progress(0, 0, 'Labels are read')
    row = check_enabled(run.project, run.backend)
    given = list(islice(given_labels(run.project, options.control, rule_of(row)), MOST_READ))
    drawn = _drawn(given, run.pk)
    task_ids = np.array([item.task_id for item in drawn], dtype=np.int64)
    features = features_of(row, task_ids, reporter.progress, reporter.should_stop, training_device())
    reporter.flags.check()
    kept = set(features.task_ids.tolist())
    answers = [item.label for item in drawn if item.task_id in kept]
    counts = Counter(answers)
    try:
        check_counts(counts, options.control, FEWEST_LABELS, WHAT)
    except AnalysisError as error:
        if features.missing:
            raise AnalysisError(
                f'{error} {features.label} says nothing usable about {features.missing} more.'
            ) from None
        raise
    data = ReplayData(features.rows, answers, task_ids=features.task_ids, has_embeddings=features.are_embeddings)
    found = Found(
        control=options.control,
        features=features.words,
        version=features.label,
        tasks=len(answers),
        of_tasks=len(given),
        classes=len(counts),
        digest=_digest(features.rows, features.task_ids, answers),
        arms=[ArmFound(name, strategy(name).title) for name in options.strategies],
    )
    return data, found


def _drawn(given: list[GivenLabel], seed: int) -> list[GivenLabel]:
    if len(given) <= MOST_TASKS:
        return given
    rows = np.sort(np.random.default_rng(seed).choice(len(given), MOST_TASKS, replace=False))
    return [given[row] for row in rows]


def _digest(rows: np.ndarray, task_ids: np.ndarray, answers: list[str]) -> str:
    found = hashlib.sha256(np.ascontiguousarray(rows).tobytes())
    found.update(task_ids.tobytes())
    found.update('\0'.join(answers).encode())
    return found.hexdigest()[:32]


def _result(found: Found, is_complete: bool) -> dict[str, Any]:
    return {**found.as_json(), **summary(found, is_complete)}
