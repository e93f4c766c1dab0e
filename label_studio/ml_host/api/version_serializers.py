"""What the API sends and takes about model versions."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers

from label_studio.ml_host.api.fields import StrictSerializer
from label_studio.ml_host.models import ModelVersion

IN_SERVICE = 'in_service'


class ModelVersionSerializer(serializers.ModelSerializer):
    """One version."""

    label = serializers.CharField(read_only=True)
    in_service = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField()
    interval = serializers.SerializerMethodField()
    live = serializers.SerializerMethodField()
    previous = serializers.IntegerField(source='previous.number', default=None, read_only=True)
    snapshot = serializers.CharField(source='snapshot.digest', default=None, read_only=True)

    class Meta:
        model = ModelVersion
        fields: ClassVar = [
            'id',
            'number',
            'label',
            'state',
            'in_service',
            'reason',
            'trigger',
            'score',
            'interval',
            'scored_on',
            'live',
            'metrics',
            'params',
            'trained_on',
            'snapshot',
            'previous',
            'size',
            'digest',
            'served_at',
            'created_at',
        ]

    def get_in_service(self, version) -> bool:
        """Whether predictions come from this version."""
        return version.pk == self.context.get('in_service_id')

    def get_state(self, version) -> str:
        """Where it stands: in_service, candidate, archived or failed."""
        return IN_SERVICE if self.get_in_service(version) else version.state

    def get_interval(self, version) -> list[float] | None:
        """The 95% interval of the score; null without one."""
        return None if version.score is None else [version.score_low, version.score_high]

    def get_live(self, version) -> dict[str, float]:
        """How far people's annotations agree with the predictions they began with, since it went into service."""
        count = version.live_count
        return {'count': count, 'agreement': version.live_sum / count if count else None}


class VersionUploadSerializer(StrictSerializer):
    """An uploaded version."""

    file = serializers.FileField(help_text='What the download of a version gave, here or on another server.')
