"""REST endpoints that say how good versions are."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from label_studio.ml_host.api import access
from label_studio.ml_host.api.views import AUDIENCE, NOT_FOUND, TAGS, BackendView
from label_studio.ml_host.quality.compare import compare
from label_studio.ml_host.quality.curve import learning_curve


class ScoreSerializer(serializers.Serializer):
    """Mean agreement with the held-out labels."""

    value = serializers.FloatField()
    low = serializers.FloatField(help_text='Lower end of the 95% interval.')
    high = serializers.FloatField(help_text='Upper end of the 95% interval.')
    tasks = serializers.IntegerField()


class ClassFiguresSerializer(serializers.Serializer):
    """How well a version knows one label; null where nothing can be said."""

    label = serializers.CharField()
    support = serializers.IntegerField(help_text='How often people give it.')
    precision = serializers.FloatField(allow_null=True)
    recall = serializers.FloatField(allow_null=True)
    f1 = serializers.FloatField(allow_null=True)


class CellSerializer(serializers.Serializer):
    """A cell of a confusion matrix that is not 0."""

    truth = serializers.CharField(help_text='What people say; empty for nothing.', allow_blank=True)
    answer = serializers.CharField(help_text='What the version says; empty for nothing.', allow_blank=True)
    count = serializers.IntegerField()


class ConfusionSerializer(serializers.Serializer):
    """What one version makes of one control."""

    classes = ClassFiguresSerializer(many=True)
    cells = CellSerializer(many=True)


class ControlComparisonSerializer(serializers.Serializer):
    """Both versions on one control that gives labels."""

    name = serializers.CharField()
    kind = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    first = ConfusionSerializer()
    second = ConfusionSerializer()


class DisagreementSerializer(serializers.Serializer):
    """A held-out task on which the versions say something different; results are in Label Studio's format."""

    task = serializers.IntegerField(source='task_id')
    truth = serializers.JSONField()
    first = serializers.JSONField()
    second = serializers.JSONField()
    first_agreement = serializers.FloatField()
    second_agreement = serializers.FloatField()


class ComparisonSerializer(serializers.Serializer):
    """Two versions on the same held-out tasks."""

    first = serializers.IntegerField(source='first.number')
    second = serializers.IntegerField(source='second.number')
    tasks = serializers.IntegerField(help_text='Held-out tasks that both answered.')
    first_score = ScoreSerializer(allow_null=True)
    second_score = ScoreSerializer(allow_null=True)
    p_value = serializers.FloatField(allow_null=True, help_text='How likely so large a difference is by chance.')
    sentence = serializers.CharField()
    controls = ControlComparisonSerializer(many=True)
    disagreeing = serializers.IntegerField(help_text='Tasks on which they disagree.')
    disagreements = DisagreementSerializer(many=True, help_text='At most 200 of them, the largest difference first.')


class CurvePointSerializer(serializers.Serializer):
    """One measured version."""

    version = serializers.IntegerField()
    labels = serializers.IntegerField(help_text='Labeled tasks that it was trained on.')
    score = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class VersionCompareAPI(BackendView):
    """Two versions of a backend against each other."""

    @extend_schema(
        tags=TAGS,
        summary='Compare two model versions',
        description='Scores with 95% intervals, figures by label, confusion matrices and the tasks on which they '
        'disagree, on the held-out tasks that both versions were measured on.',
        responses={200: ComparisonSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Any, pk: int, name: str, number: int, other: int) -> Response:
        """The comparison."""
        project = self.project(pk)
        first, second = (access.version_of(project, name, item) for item in (number, other))
        return Response(ComparisonSerializer(compare(first, second)).data)


class LearningCurveAPI(BackendView):
    """How a backend got better with labels."""

    @extend_schema(
        tags=TAGS,
        summary="Get an ML backend's learning curve",
        description='A point for each version that was measured on held-out labels, oldest first.',
        responses={200: CurvePointSerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Any, pk: int, name: str) -> Response:
        """The points."""
        return Response(CurvePointSerializer(learning_curve(self.project(pk), name), many=True).data)
