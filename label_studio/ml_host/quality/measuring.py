"""Measure a version that no training has measured: one that was trained elsewhere and uploaded."""

from __future__ import annotations

import logging

from django.conf import settings
from redis.exceptions import RedisError

from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.quality.answers import keep_answers
from label_studio.ml_host.quality.held_out import chosen, trained_on
from label_studio.ml_host.quality.predicting import UnusableVersionError, ask, model_of
from label_studio.ml_host.quality.scoring import scorer_for
from label_studio.ml_host.quality.statistics import score_of
from label_studio.ml_host.training.dataset import DatabaseDataset
from label_studio.ml_host.training.device import training_device
from label_studio.ml_host.training.queueing import training_queue
from label_studio.ml_host.versions.files import version_files

logger = logging.getLogger(__name__)

JOB = 'label_studio.ml_host.quality.measuring.measure'
_KEEP_SECONDS = 3600


def request(version: ModelVersion) -> None:
    """Have a worker measure a version; without a queue it stays unmeasured, and can be used all the same."""
    try:
        training_queue().enqueue(
            JOB,
            version.pk,
            job_id=f'ml-measure-{version.pk}',
            job_timeout=settings.ML_TRAINING_TIMEOUT,
            result_ttl=_KEEP_SECONDS,
            failure_ttl=_KEEP_SECONDS,
        )
    except (RedisError, OSError) as error:
        logger.warning('%s is not measured on the held-out tasks: %s', version, error)


def measure(version_id: int) -> None:
    """Have a version answer the held-out tasks of now; keep answers and score.

    Args:
        version_id: Key of the row; nothing happens when it was deleted meanwhile.
    """
    version = ModelVersion.objects.select_related('project', 'snapshot').filter(pk=version_id).first()
    if version is None:
        return
    row = ProjectBackend.objects.get(project=version.project_id, backend=version.backend)
    annotators = LearningSettings.of(row.learning).annotators
    dataset = DatabaseDataset(version.project, settings.ML_HELD_OUT_SHARE, annotators)
    examples = chosen(version.project_id, dataset, trained_on(version))
    if not examples:
        logger.info('%s is not measured: nothing is held out in project %s', version, version.project_id)
        return
    spec = model_of(version.project, version.backend, version.params, lambda: version_files(version), training_device())
    try:
        said = ask(spec, [example.task for example in examples.values()], lambda: False)
    except UnusableVersionError as error:
        logger.warning('%s is not measured: %s', version, error)
        return
    scorer = scorer_for(version.project, version.backend)
    answers = scorer.answers(said, {task_id: example.annotation.result for task_id, example in examples.items()})
    score = score_of([item.agreement for item in answers.by_task.values()])
    if score is None:
        logger.info('%s is not measured: %s', version, next(iter(said.unreadable.values())))
        return
    keep_answers(version, answers)
    ModelVersion.objects.filter(pk=version.pk).update(
        score=score.value, score_low=score.low, score_high=score.high, scored_on=score.tasks
    )
