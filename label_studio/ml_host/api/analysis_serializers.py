"""What the API sends of analyses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request

from label_studio.ml_host.analysis.errors import AnalysisOptionError
from label_studio.ml_host.api.fields import StrictSerializer
from label_studio.ml_host.label_errors.overview import changes_since, counts, standings
from label_studio.ml_host.models import LabelErrorRun, LabelReview, ReplayRun

_FIELDS = [
    'id',
    'backend',
    'state',
    'percent',
    'done',
    'total',
    'note',
    'options',
    'result',
    'error',
    'traceback',
    'cancel_requested',
    'attempts',
    'created_by',
    'created_at',
    'started_at',
    'ended_at',
]


def body_of(request: Request) -> dict[str, Any]:
    """Options by name; none without a body. Raises `AnalysisOptionError` for what is no object."""
    if not isinstance(request.data, Mapping):
        raise AnalysisOptionError(f'the body must be options by name, not {type(request.data).__name__}')
    return dict(request.data)


class AnalysisSerializer(serializers.ModelSerializer):
    """Base: one run over the labels of a project."""

    percent = serializers.IntegerField(read_only=True)
    result = serializers.SerializerMethodField(help_text='What was found; of a run that is under way, so far.')

    def get_result(self, run: Any) -> dict[str, Any]:
        """What was found."""
        return dict(run.result)


class ReplaySerializer(AnalysisSerializer):
    """One replay."""

    class Meta:
        model = ReplayRun
        fields: ClassVar = _FIELDS

    def get_result(self, run: ReplayRun) -> dict[str, Any]:
        """Curves, failed strategies and the recommendation; empty before the first."""
        found = run.result
        if not found:
            return {}
        failed = {arm['name']: arm['error'] for arm in found['arms'] if arm['error']}
        shown = ('control', 'features', 'version', 'tasks', 'of_tasks', 'classes', 'curves', 'recommended', 'sentence')
        return {**{name: found[name] for name in shown}, 'failed': failed}


class LabelErrorRunSerializer(AnalysisSerializer):
    """One look for label errors."""

    class Meta:
        model = LabelErrorRun
        fields: ClassVar = _FIELDS

    def get_result(self, run: LabelErrorRun) -> dict[str, Any]:
        """What was looked at, and the suspected labels as they stand now; empty before the end."""
        if not run.result:
            return {}
        all_of_them = standings(run)
        suspects = [
            {
                **asdict(item.suspect),
                'state': item.state,
                'annotator': item.annotator,
                'opinions': [{'label': label, 'by': person} for label, person in item.opinions],
            }
            for item in all_of_them
        ]
        changes = asdict(changes_since(run))
        return {**run.result, 'suspects': suspects, 'states': counts(all_of_them), 'changes': changes}


class LabelReviewSerializer(StrictSerializer):
    """What a person says of a suspected label."""

    annotation = serializers.IntegerField(help_text='Number of the annotation that gives it.')
    verdict = serializers.CharField(
        allow_blank=True, help_text=f'One of {", ".join(LabelReview.Verdict.values)}; empty takes back what was said.'
    )
