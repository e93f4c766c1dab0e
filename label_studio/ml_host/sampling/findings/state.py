"""What was found out about a plan, for the page and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ObjectDoesNotExist

from label_studio.ml_host.models import SamplingFindings, SamplingPlan

NOTHING_YET = 'Nothing to say yet: it is worked out once tasks that active learning served are labeled.'


@dataclass(frozen=True)
class Found:
    """Findings as they are stored.

    Attributes:
        row: None before the first.
        report: Empty before the first.
    """

    row: SamplingFindings | None
    report: Mapping[str, Any]

    @property
    def arms(self) -> Mapping[str, Any]:
        """The comparison with random; empty where there is none."""
        return self.report.get('arms') or {}

    @property
    def sentence(self) -> str:
        """Whether it is worth it."""
        return self.report.get('why_not') or self.arms.get('sentence') or NOTHING_YET

    @property
    def gain(self) -> Mapping[str, Any]:
        """What the next labels will bring; empty before it was worked out."""
        return self.report.get('gain') or {}

    @property
    def advice(self) -> Sequence[Mapping[str, Any]]:
        """What each stopping criterion says."""
        return self.report.get('advice') or ()

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The first criterion of the project's own that advises to stop; None while none does."""
        return next((item for item in self.advice if item['active'] and item['stop']), None)

    @property
    def failed(self) -> Sequence[Mapping[str, str]]:
        """Criteria that could not look."""
        return self.report.get('failed') or ()

    @property
    def error(self) -> str:
        """Why the latest could not be computed."""
        return self.row.error if self.row is not None else ''

    @property
    def computed_at(self) -> datetime | None:
        """When it was worked out."""
        return self.row.computed_at if self.row is not None else None

    @property
    def labels(self) -> int:
        """Labeled tasks then."""
        return self.row.labels if self.row is not None else 0


def found_of(plan: SamplingPlan | None) -> Found:
    """What was found out about a plan."""
    try:
        row = plan.findings if plan is not None else None
    except ObjectDoesNotExist:
        row = None
    return Found(row, row.report if row is not None else {})


def summary(plan: SamplingPlan | None) -> dict[str, Any]:
    """The findings in a few values, without the curves."""
    found = found_of(plan)
    return {
        'sentence': found.sentence,
        **{name: found.arms.get(name) for name in ('saved', 'saved_low', 'saved_high', 'p_worse')},
        'worse': bool(found.arms.get('worse')),
        'gain': found.gain or None,
        'stop': found.stop is not None,
        'advice': found.stop['sentence'] if found.stop else '',
        'labels': found.labels,
        'computed_at': found.computed_at,
        'error': found.error,
    }
