"""What the ML backends page shows of one plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from label_studio.ml_host.api.log_files import tail
from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import BackendEvent, FailureRecord, TrainingRun
from label_studio.ml_host.pages.fields import Field
from label_studio.ml_host.pages.label_errors import LabelErrorsPanel, label_errors_of
from label_studio.ml_host.pages.learning import LearningPanel, learning_of
from label_studio.ml_host.pages.prelabel import PrelabelForm, PrelabelPanel, clock, form_of, panel_of
from label_studio.ml_host.pages.replay import ReplayPanel, replay_of
from label_studio.ml_host.pages.sampling import SamplingPanel, sampling_of
from label_studio.ml_host.pages.versions import VersionsPanel, versions_of
from ml_plugins.failures import PluginFailure, Stage, record_failure

LOG_LINES = 40
SHOWN_EVENTS = 10
SHOWN_FAILURES = 5
SHOWN_SKIPPED = 100
# Failures this young are shown without being asked for.
FRESH = timedelta(hours=24)


@dataclass(frozen=True)
class RunView:
    """A training run with the end of its log."""

    run: TrainingRun
    log: str

    @property
    def elapsed(self) -> str:
        """Time since it started, or how long it took, as ``1:02:03``."""
        begin = self.run.started_at or self.run.created_at
        return clock(((self.run.ended_at or timezone.now()) - begin).total_seconds())

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """The first tasks that could not be used."""
        return list(self.run.skipped)[:SHOWN_SKIPPED]


@dataclass(frozen=True)
class Card:
    """One plugin on the page."""

    state: BackendState
    runs: Sequence[RunView]
    versions: VersionsPanel
    events: Sequence[BackendEvent]
    failures: Sequence[FailureRecord]
    learning: LearningPanel | None = None
    sampling: SamplingPanel | None = None
    prelabel: PrelabelPanel | None = None
    prelabel_form: PrelabelForm | None = None
    replay: ReplayPanel | None = None
    label_errors: LabelErrorsPanel | None = None
    panel: SafeString | str = ''
    panel_failure: PluginFailure | None = None
    error: str = ''

    @property
    def fields(self) -> list[Field]:
        """The parameters form."""
        return [Field(param, self.state.params.get(param.name)) for param in self.state.param_list]

    @property
    def has_fresh_failure(self) -> bool:
        """Whether the newest failure is of today."""
        return bool(self.failures) and timezone.now() - self.failures[0].created_at < FRESH


def runs_of(project, name: str) -> list[RunView]:
    """The runs to show: those under way, the running one first, else the latest."""
    found = TrainingRun.objects.filter(project=project, backend=name).select_related('version', 'created_by')
    under_way = sorted(found.exclude(state__in=TrainingRun.ENDED), key=lambda run: run.state != run.State.RUNNING)
    shown = under_way or list(found[:1])
    return [RunView(run, tail(run_log_path(settings.ML_LOG_DIR, run.pk), LOG_LINES)) for run in shown]


def card_of(state: BackendState, request=None, error: str = '') -> Card:
    """Gather everything of one plugin; what the plugin's own panel raises stays in its box."""
    own = {'project': state.project, 'backend': state.name}
    panel, panel_failure = _panel(state, request) if state.enabled and state.usable else ('', None)
    form = form_of(state)
    return Card(
        state,
        runs_of(state.project, state.name),
        versions_of(state),
        BackendEvent.objects.filter(**own).select_related('user')[:SHOWN_EVENTS],
        FailureRecord.objects.filter(Q(project=state.project) | Q(project=None), plugin=state.name)[:SHOWN_FAILURES],
        learning_of(state),
        sampling_of(state),
        panel_of(state.project, state.name) if form else None,
        form,
        replay_of(state),
        label_errors_of(state),
        panel,
        panel_failure,
        error,
    )


def _panel(state: BackendState, request) -> tuple[SafeString | str, PluginFailure | None]:
    template = state.plugin.config.panel_template
    if not template:
        return '', None
    context = {'project': state.project, 'plugin': state.plugin, 'backend': state.row, 'params': state.params}
    try:
        return render_to_string(template, context, request=request), None
    except (Exception, SystemExit) as error:
        return '', record_failure(state.name, Stage.RENDER, error, state.project.pk)
