"""What the API sends and takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from label_studio.ml_host.api.fields import Flag, StrictSerializer
from label_studio.ml_host.learning.settings import LearningSettingsError
from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.sampling.settings import SamplingSettingsError


class PluginFailureSerializer(serializers.Serializer):
    """Why a plugin could not be loaded."""

    stage = serializers.CharField(source='stage.value')
    error = serializers.CharField()
    traceback = serializers.CharField()
    at = serializers.DateTimeField()


class PluginSerializer(serializers.Serializer):
    """One installed plugin."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.SerializerMethodField()
    package = serializers.CharField(source='candidate.distribution')
    version = serializers.CharField(source='candidate.version')
    usable = serializers.BooleanField(source='is_usable')
    missing = serializers.CharField()
    failures = PluginFailureSerializer(source='load_failures', many=True)

    def get_description(self, plugin) -> str:
        """The sentence that the plugin's author wrote."""
        return plugin.description


class TrainingRunSerializer(serializers.ModelSerializer):
    """One training run."""

    percent = serializers.IntegerField(read_only=True)
    version = serializers.IntegerField(source='version.number', default=None, read_only=True)

    class Meta:
        model = TrainingRun
        fields: ClassVar = [
            'id',
            'backend',
            'state',
            'trigger',
            'percent',
            'done',
            'total',
            'metrics',
            'params',
            'skipped',
            'error',
            'traceback',
            'cancel_requested',
            'attempts',
            'version',
            'created_by',
            'created_at',
            'started_at',
            'heartbeat_at',
            'ended_at',
        ]


class BackendStateSerializer(serializers.Serializer):
    """One plugin as seen from one project."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    package = serializers.CharField()
    package_version = serializers.CharField()
    usable = serializers.BooleanField()
    enabled = serializers.BooleanField()
    can_train = serializers.BooleanField()
    why_not = serializers.CharField(help_text='Why it cannot be enabled on this project; empty when it can.')
    params = serializers.DictField(help_text='Parameters in force, defaults filled in.')
    version_in_service = serializers.IntegerField(allow_null=True)
    prelabel_new = serializers.BooleanField(help_text='Whether new tasks are pre-labeled by themselves.')
    switched_off = serializers.CharField(help_text='Why the server disabled it by itself; empty when a person did it.')
    learning = serializers.DictField(help_text='Whether it learns while people label ("on"), and how.')
    sampling = serializers.DictField(
        help_text='Whether it chooses what is labeled next ("on"), and how; "fallback" says why it does not.'
    )
    circuit_breaker = serializers.CharField(allow_null=True, help_text='State of the breaker; null when all is well.')
    latest_run = TrainingRunSerializer(allow_null=True)


class BackendChangeSerializer(StrictSerializer):
    """What PATCH may change."""

    enabled = Flag(required=False)
    prelabel_new = Flag(required=False, help_text='Pre-label tasks that are imported or synced from now on.')
    learning = serializers.DictField(
        required=False,
        help_text='Learning while labeling: "on" is the switch, the others are settings; what is left out stays.',
    )
    sampling = serializers.DictField(
        required=False,
        help_text='Active learning: "on" is the switch, the others are settings; what is left out stays.',
    )
    params = serializers.DictField(
        required=False, help_text='Replaces all parameters of the project; names left out go back to their default.'
    )


class ErrorSerializer(serializers.Serializer):
    """Body of an error."""

    detail = serializers.CharField()
    code = serializers.CharField()


def learning_change(sent: Mapping[str, Any]) -> tuple[bool | None, dict[str, Any]]:
    """The switch and the settings in what PATCH got under ``learning``.

    Raises:
        LearningSettingsError: The switch is neither true nor false.
    """
    return _change(sent, 'learning', LearningSettingsError)


def sampling_change(sent: Mapping[str, Any]) -> tuple[bool | None, dict[str, Any]]:
    """The switch and the settings in what PATCH got under ``sampling``.

    Raises:
        SamplingSettingsError: The switch is neither true nor false.
    """
    return _change(sent, 'sampling', SamplingSettingsError)


def _change(sent: Mapping[str, Any], name: str, error: type[Exception]) -> tuple[bool | None, dict[str, Any]]:
    on = sent.get('on')
    if on is not None and not isinstance(on, bool):
        raise error(f'{name}.on: {on!r} must be true or false')
    return on, {key: value for key, value in sent.items() if key != 'on'}
