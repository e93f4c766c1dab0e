"""The kinds of analyses: which table each has, and what does the work."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from label_studio.ml_host.models import LabelErrorRun, ReplayRun
from label_studio.ml_host.models.analysis import Analysis

if TYPE_CHECKING:
    from label_studio.ml_host.analysis.reporter import Reporter

MODELS: dict[str, type[Analysis]] = {'replay': ReplayRun, 'label-errors': LabelErrorRun}
# Imported by the worker, when there is something to do.
_WORK = {
    'replay': 'label_studio.ml_host.replay.work',
    'label-errors': 'label_studio.ml_host.label_errors.work',
}


def kind_of(run: Analysis) -> str:
    """The name of its kind."""
    return next(name for name, model in MODELS.items() if isinstance(run, model))


def work_of(kind: str) -> Callable[[Any, Reporter], dict[str, Any]]:
    """What does the work: takes the run and its reporter, returns the result."""
    return import_module(_WORK[kind]).work
