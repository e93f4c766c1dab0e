"""Hold a new version against the one in service, on tasks that neither was trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from label_studio.ml_host.models import ModelVersion, TrainingRun
from label_studio.ml_host.quality.answers import Answers, HeldOutAnswer, answers_of, keep_answers
from label_studio.ml_host.quality.held_out import trained_on
from label_studio.ml_host.quality.predicting import UnusableVersionError, ask, model_of
from label_studio.ml_host.quality.rules import Rival
from label_studio.ml_host.quality.scoring import Scorer, common_controls
from label_studio.ml_host.quality.statistics import paired_test
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.recorder import Recorder
from label_studio.ml_host.versions.files import version_files
from ml_plugins.types import Task

logger = logging.getLogger(__name__)


def hold_against(
    run: TrainingRun,
    rival: ModelVersion,
    answers: Answers,
    tasks: Mapping[int, Task],
    scorer: Scorer,
    recorder: Recorder,
    should_stop: Callable[[], bool],
) -> Rival:
    """Compare a new version's answers with the rival's; what the rival has not answered yet it answers now.

    Args:
        answers: The new version's.
        tasks: The held-out tasks.
    """
    trained = trained_on(rival)
    wanted = {task_id: item for task_id, item in answers.by_task.items() if task_id not in trained}
    stored = patiently(lambda: answers_of(rival))
    added, trouble = _missing(run, rival, wanted, stored, tasks, scorer, recorder, should_stop)
    known = {**stored.by_task, **added.by_task}
    if not known.keys() & wanted.keys():
        return Rival(rival.number, None, trouble)
    controls = common_controls(answers, Answers(scorer.counted(item.answer for item in known.values()), known))
    theirs = {task_id: _held(scorer, item, wanted.get(task_id), controls) for task_id, item in known.items()}
    patiently(lambda: keep_answers(rival, Answers(controls, theirs)))
    ours = scorer.on_controls(answers, controls).by_task
    common = sorted(wanted.keys() & theirs.keys())
    paired = paired_test(*([side[task_id].agreement for task_id in common] for side in (ours, theirs)))
    return Rival(rival.number, paired)


def _missing(
    run: TrainingRun,
    rival: ModelVersion,
    wanted: Mapping[int, HeldOutAnswer],
    stored: Answers,
    tasks: Mapping[int, Task],
    scorer: Scorer,
    recorder: Recorder,
    should_stop: Callable[[], bool],
) -> tuple[Answers, str]:
    """What the rival says on tasks that it was not measured on; or why it can say nothing."""
    missing = [tasks[task_id] for task_id in wanted if task_id not in stored.by_task]
    if not missing:
        return Answers(None, {}), ''
    recorder.log(f'Version {rival.number} is measured on {len(missing)} held-out tasks that are new to it.')
    spec = model_of(run.project, run.backend, rival.params, lambda: version_files(rival), recorder.device)
    try:
        said = ask(spec, missing, should_stop)
    except UnusableVersionError as error:
        recorder.log(f'Version {rival.number} cannot be measured: {error}')
        return Answers(None, {}), str(error)
    return scorer.answers(said, {task.id: wanted[task.id].truth for task in missing}), ''


def _held(scorer: Scorer, item: HeldOutAnswer, newest: HeldOutAnswer | None, controls) -> HeldOutAnswer:
    """The rival's answer held against what people say now."""
    return scorer.rescored(item, newest.truth if newest is not None else item.truth, controls)
