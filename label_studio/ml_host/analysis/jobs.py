"""The django-rq entry of analyses: take a run, do the work, and write down how it ended."""

from __future__ import annotations

import logging
import traceback

from label_studio.ml_host.analysis import lifecycle
from label_studio.ml_host.analysis.kinds import MODELS, work_of
from label_studio.ml_host.analysis.lifecycle import State
from label_studio.ml_host.analysis.reporter import Reporter
from label_studio.ml_host.models.analysis import Analysis
from ml_plugins.exceptions import MLPluginError, TrainingCancelledError
from ml_plugins.failures import describe

logger = logging.getLogger(__name__)


class GaveWayError(Exception):
    """The work lets others have the worker; what it kept so far is gone on from."""


def analyse(kind: str, number: int) -> None:
    """Do one run; does nothing when it was cancelled or another worker was quicker."""
    run = lifecycle.claim(MODELS[kind], number)
    if run is None:
        logger.info('%s %s is not to be done any more', kind, number)
        return
    reporter = Reporter(run)
    try:
        with reporter:
            result = work_of(kind)(run, reporter)
        lifecycle.finish(run, State.FINISHED, result=result)
    except (Exception, SystemExit) as error:
        _end(run, reporter, error, traceback.format_exc())


def _end(run: Analysis, reporter: Reporter, error: BaseException, text: str) -> None:
    flags = reporter.flags
    if flags.cancelled.is_set():
        lifecycle.finish(run, State.CANCELLED)
    elif isinstance(error, GaveWayError):
        lifecycle.hand_back(run, str(error))
    elif flags.shutdown and isinstance(error, TrainingCancelledError):
        lifecycle.hand_back(run, 'It waits for another worker.')
    elif isinstance(error, MLPluginError):
        logger.info('%s failed: %s', run, error)
        lifecycle.finish(run, State.FAILED, str(error))
    else:
        logger.error('%s failed: %s', run, text)
        lifecycle.finish(run, State.FAILED, describe(error), text)
