"""Switch active learning of a project on and off, and change how it chooses."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import BackendEvent, ProjectBackend, SamplingPlan
from label_studio.ml_host.sampling import low, queueing
from label_studio.ml_host.sampling.findings import falling
from label_studio.ml_host.sampling.findings.state import summary
from label_studio.ml_host.sampling.plans import active_plan
from label_studio.ml_host.sampling.settings import SamplingOffError, SamplingSettings, SamplingSettingsError
from ml_plugins.registry import registry

# A change of any of these makes what was chosen before void.
_CHOOSES = ('backend', 'enabled', 'strategy', 'params', 'seed')
# Of any of these, what was found out about the strategy as well.
_IS_ANOTHER = ('backend', 'strategy', 'params')


def set_sampling(
    project: Any, backend: str, on: bool | None, values: Mapping[str, Any], user: Any = None
) -> SamplingPlan:
    """Switch active learning on or off with one backend of a project, and change how it chooses.

    A project has one plan: switched on with another backend, it goes on with that one.

    Args:
        project: Upstream's project.
        backend: Name of the plugin whose answers are used.
        on: None leaves the switch as it is.
        values: Settings by name, see `SamplingSettings`; those left out stay as they are.
        user: Who asked; None for the server itself.

    Raises:
        SamplingSettingsError: Names the setting, the value and what is allowed.
        NotEnabledError: The backend is not enabled on the project.
    """
    if on is not False:
        _check_enabled(project, backend)
    with transaction.atomic():
        plan = _locked(project, backend)
        before = _facts(plan)
        if plan.backend != backend:
            if on is False and not values:
                return plan
            if not on:
                raise SamplingSettingsError(
                    f'sampling: project {project.pk} chooses with ML backend "{plan.backend}", not "{backend}"; '
                    'switch it on with this one, or change that one'
                )
            plan.backend = backend
        settings = SamplingSettings.of(plan).changed(values)
        plan.enabled = plan.enabled if on is None else on
        for name, value in vars(settings).items():
            setattr(plan, name, value)
        if plan.enabled and _chooses_otherwise(_facts(plan), before):
            _check_possible(project, backend, settings)
        _save(plan, before, user)
    return plan


def sampling_state(project_id: int, backend: str) -> dict[str, Any]:
    """How a backend stands in its project's choice of tasks, for the page and the API."""
    own = SamplingPlan.objects.filter(project_id=project_id, backend=backend)
    plan = own.select_related('findings').first()
    return {
        'on': plan is not None and plan.enabled,
        **asdict(SamplingSettings.of(plan)),
        'fallback': plan.fallback if plan is not None else '',
        'explanation': plan.explanation if plan is not None else '',
        'instead': plan.instead if plan is not None else '',
        'findings': summary(plan),
        'scored_version': plan.scored_version if plan is not None else '',
        'scored_at': plan.scored_at if plan is not None else None,
    }


def refresh(project: Any, backend: str) -> None:
    """Have it worked out in the background now whether a plan is worth it.

    Raises:
        SamplingOffError: The project does not choose with this backend.
    """
    from label_studio.ml_host.sampling.findings import watcher

    watcher.ask(_plan_in_use(project, backend))


def use_again(project: Any, backend: str, user: Any = None) -> None:
    """Let the strategy of a plan choose again that did worse than random.

    Raises:
        SamplingOffError: The project does not choose with this backend, or its strategy does choose.
    """
    plan = _plan_in_use(project, backend)
    if not falling.use_again(plan, user):
        raise SamplingOffError(
            f'sampling: strategy "{plan.strategy}" of project {project.pk} chooses already; it has not fallen back.'
        )


def _plan_in_use(project: Any, backend: str) -> SamplingPlan:
    registry.get(backend)
    plan = active_plan(project.pk)
    if plan is None or plan.backend != backend:
        raise SamplingOffError(
            f'sampling: active learning with ML backend "{backend}" is off in project {project.pk}; switch it on first.'
        )
    return plan


def _save(plan: SamplingPlan, before: dict[str, Any], user: Any) -> None:
    after = _facts(plan)
    if after == before:
        return
    if _chooses_otherwise(after, before):
        queueing.drop_all(plan, 'active learning was changed')
        plan.fallback = plan.explanation = plan.scored_version = ''
        plan.scored_at = None
    if any(after[name] != before[name] for name in _IS_ANOTHER):
        plan.instead, plan.judged_from = '', timezone.now()
        falling.forget(plan)
    plan.save()
    _audit(plan, user)
    if plan.enabled:
        transaction.on_commit(lambda: low.note(plan.project_id))


def _chooses_otherwise(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return any(after[name] != before[name] for name in _CHOOSES)


def _facts(plan: SamplingPlan) -> dict[str, Any]:
    return {'backend': plan.backend, 'enabled': plan.enabled, **asdict(SamplingSettings.of(plan))}


def _locked(project: Any, backend: str) -> SamplingPlan:
    """The plan, which nobody else changes until the transaction ends."""
    # Upstream's projects are copied, and tasks of a copy should not be chosen in the very same order.
    first = {'backend': backend, 'seed': secrets.randbelow(2**31)}
    plan, _ = SamplingPlan.objects.get_or_create(project=project, defaults=first)
    return SamplingPlan.objects.select_for_update().get(pk=plan.pk)


def _check_enabled(project: Any, backend: str) -> None:
    from label_studio.ml_host.training.errors import NotEnabledError

    registry.get(backend)
    if gate.active(project.pk, backend) is None:
        raise NotEnabledError(
            f'ML backend "{backend}" is not enabled on project {project.pk}; enable it on the ML backends page.'
        )


def _check_possible(project: Any, backend: str, settings: SamplingSettings) -> None:
    """Refuse a strategy that the backend gives nothing to work with."""
    from label_studio.ml_host.sampling.available import available
    from ml_plugins.strategies import strategy

    row = ProjectBackend.objects.select_related('in_service').filter(project=project, backend=backend).first()
    reason = strategy(settings.strategy, settings.params).why_not(available(row))
    if reason:
        raise SamplingSettingsError(
            f'sampling.strategy: "{settings.strategy}" cannot work with ML backend "{backend}". {reason} '
            'Choose "automatic", which takes what there is.'
        )


def _audit(plan: SamplingPlan, user: Any) -> None:
    from label_studio.ml_host.enabling.services import audit

    detail = asdict(SamplingSettings.of(plan))
    audit(plan.project, plan.backend, BackendEvent.Action.SAMPLING, user, on=plan.enabled, **detail)
