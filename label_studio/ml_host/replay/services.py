"""Start and cancel replays: what pages and API call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from label_studio.ml_host.analysis import lifecycle
from label_studio.ml_host.analysis.errors import AnalysisOptionError
from label_studio.ml_host.analysis.features import check_version
from label_studio.ml_host.analysis.labels import check_enough, control_of
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import ProjectBackend, ReplayRun
from label_studio.ml_host.replay.options import ReplayOptions
from label_studio.ml_host.sampling.available import available
from ml_plugins.strategies import Needs
from ml_plugins.strategies.registry import Offer
from ml_plugins.strategies.registry import offers as all_offers

FEWEST_LABELS = 60
# Labels that are read of a project; the older ones of more.
MOST_READ = 50_000
WHAT = 'A replay'


def start(project: Any, backend: str, values: Mapping[str, Any], user: Any = None) -> ReplayRun:
    """Queue a replay.

    Args:
        project: Upstream's project.
        backend: Name of the plugin whose embeddings are used.
        values: Options by name, see `ReplayOptions`.
        user: Who asked.

    Raises:
        AnalysisOptionError: Names the option, the value and what is allowed.
        AnalysisError: The project or the backend has too little for it; says what and how much is needed.
        NotEnabledError: The backend is not enabled on the project.
        AnalysisQueueError: Redis cannot be reached.
    """
    row = lifecycle.check_enabled(project, backend)
    options = ReplayOptions.read(values)
    control = control_of(project, options.control)
    check_version(row)
    _check_strategies(row, options.strategies)
    check_enough(project, control, rule_of(row), FEWEST_LABELS, MOST_READ, WHAT)
    return lifecycle.start(ReplayRun, project, backend, user, {**options.as_json(), 'control': control})


def cancel(run: ReplayRun) -> None:
    """End a replay that waits; ask one that runs to stop. What it found so far stays."""
    lifecycle.cancel(run)


def offers(row: ProjectBackend | None) -> list[Offer]:
    """All strategies, each with the reason why it cannot take part."""
    there = available(row)
    # A replay has a model of its own on embeddings, and nothing else.
    return all_offers(Needs(probabilities=there.probabilities, embeddings=there.embeddings))


def rule_of(row: ProjectBackend) -> str:
    """Which of several annotations of a task counts."""
    return LearningSettings.of(row.learning).annotators


def _check_strategies(row: ProjectBackend, names: Sequence[str]) -> None:
    reasons = {offer.name: offer.why_not for offer in offers(row)}
    for name in names:
        if reasons.get(name):
            raise AnalysisOptionError(f'strategies: "{name}" cannot take part. {reasons[name]}')
