"""What the endpoints of pre-labeling send and take."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from label_studio.ml_host.api.fields import Flag, Number, StrictSerializer
from label_studio.ml_host.models import PrelabelFailure, PrelabelRun
from label_studio.ml_host.prelabeling.progress import Progress, progress


class ProgressSerializer(serializers.Serializer):
    """How far a run is."""

    total = serializers.IntegerField(help_text='Tasks of the run.')
    done = serializers.IntegerField(help_text='Tasks that the model dealt with.')
    skipped = serializers.IntegerField(help_text='Tasks left out: already predicted or labeled, as asked, or deleted.')
    failed = serializers.IntegerField(help_text='Tasks that could not be predicted; see the failures.')
    percent = serializers.IntegerField()
    rate = serializers.FloatField(help_text='Tasks a second.')
    seconds_left = serializers.FloatField(allow_null=True, help_text='Null when nothing can be said.')
    note = serializers.CharField(allow_blank=True, help_text='What the run waits for.')


class PrelabelRunSerializer(serializers.ModelSerializer):
    """One pre-labeling run."""

    version = serializers.IntegerField(source='version.number', default=None, read_only=True)
    progress = serializers.SerializerMethodField()

    class Meta:
        model = PrelabelRun
        fields: ClassVar = [
            'id',
            'backend',
            'version',
            'label',
            'state',
            'progress',
            'error',
            'skip_predicted',
            'skip_labeled',
            'refresh',
            'cancel_requested',
            'created_by',
            'created_at',
            'started_at',
            'ended_at',
        ]

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, run: PrelabelRun) -> dict[str, Any]:
        """Counts, rate and time left."""
        return ProgressSerializer(_rounded(progress(run))).data


class PrelabelStartSerializer(StrictSerializer):
    """What to pre-label."""

    version = Number(
        required=False, allow_null=True, min_value=1, help_text='Number of the version; null for the one in service.'
    )
    skip_predicted = Flag(required=False, default=False, help_text='Leave out tasks with any prediction.')
    skip_labeled = Flag(required=False, default=False, help_text='Leave out labeled tasks.')
    task_ids = serializers.ListField(
        child=Number(min_value=1),
        required=False,
        allow_null=True,
        allow_empty=False,
        help_text='Tasks of the project; null for all of them.',
    )


class PrelabelFailureSerializer(serializers.ModelSerializer):
    """A task that could not be predicted."""

    task = serializers.IntegerField(source='task_id')

    class Meta:
        model = PrelabelFailure
        fields: ClassVar = ['task', 'reason']


class FailurePageSerializer(serializers.Serializer):
    """One page of failed tasks."""

    count = serializers.IntegerField(help_text='Failed tasks on all pages.')
    page = serializers.IntegerField()
    pages = serializers.IntegerField()
    results = PrelabelFailureSerializer(many=True)


class ActivePrelabelSerializer(serializers.Serializer):
    """What is being pre-labeled in a project now."""

    active = PrelabelRunSerializer(many=True, help_text='Running and waiting runs, in the order of their work.')
    latest = PrelabelRunSerializer(allow_null=True, help_text='The run that ended last.')


def _rounded(found: Progress) -> dict[str, Any]:
    left = found.seconds_left
    names = ('total', 'done', 'skipped', 'failed', 'percent', 'note')
    return {
        **{name: getattr(found, name) for name in names},
        'rate': round(found.rate, 2),
        'seconds_left': round(left, 1) if left is not None else None,
    }
