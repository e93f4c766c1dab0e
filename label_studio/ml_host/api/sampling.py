"""REST endpoints of active learning: what can be chosen, what waits, and whether it is worth it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.response import Response

from label_studio.ml_host.api import actions
from label_studio.ml_host.api.state import state_of
from label_studio.ml_host.api.views import AUDIENCE, NOT_FOUND, REFUSED, TAGS, BackendView
from label_studio.ml_host.sampling.findings.state import Found
from label_studio.ml_host.sampling.overview import overview_of


class ParamSerializer(serializers.Serializer):
    """A parameter."""

    name = serializers.CharField()
    default = serializers.JSONField()
    help = serializers.CharField()
    choices = serializers.ListField()
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)


class ChoiceSerializer(serializers.Serializer):
    """A strategy or a stopping criterion."""

    name = serializers.CharField()
    title = serializers.CharField()
    help = serializers.CharField()
    why_not = serializers.CharField(help_text='Why it cannot work with this backend; empty when it can.')
    chosen = serializers.BooleanField()
    params = ParamSerializer(many=True)
    values = serializers.DictField(help_text='Its parameters in force.')


class ArmPointSerializer(serializers.Serializer):
    """Accuracy with a number of labels, with its 95% interval."""

    labels = serializers.IntegerField()
    accuracy = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class ArmsSerializer(serializers.Serializer):
    """Labels as they came, held against randomly served ones alone."""

    sentence = serializers.CharField()
    active = ArmPointSerializer(many=True)
    random = ArmPointSerializer(many=True)
    saved = serializers.FloatField(allow_null=True, help_text='Labels that random serving would have needed on top.')
    saved_low = serializers.FloatField(allow_null=True, help_text='Lower end of its 95% interval.')
    saved_high = serializers.FloatField(allow_null=True)
    p_worse = serializers.FloatField(allow_null=True, help_text='How likely so bad a difference is by chance.')
    worse = serializers.BooleanField()


class GainSerializer(serializers.Serializer):
    """What the next labels will bring."""

    ahead = serializers.IntegerField(help_text='How many next labels.')
    gain = serializers.FloatField(allow_null=True, help_text='Rise of the held-out score; 0.004 is 0.4 points.')
    low = serializers.FloatField()
    high = serializers.FloatField()
    sentence = serializers.CharField()


class AdviceSerializer(serializers.Serializer):
    """What a stopping criterion says."""

    name = serializers.CharField()
    title = serializers.CharField()
    active = serializers.BooleanField(help_text='Whether the project has chosen it.')
    stop = serializers.BooleanField()
    sentence = serializers.CharField()
    value = serializers.FloatField(allow_null=True)


class FailedSerializer(serializers.Serializer):
    """A stopping criterion that could not look."""

    name = serializers.CharField()
    error = serializers.CharField()


class FoundSerializer(serializers.Serializer):
    """Whether it is worth it."""

    sentence = serializers.CharField()
    computed_at = serializers.DateTimeField(allow_null=True)
    labels = serializers.IntegerField(help_text='Labeled tasks when it was worked out.')
    error = serializers.CharField(help_text='Why the latest could not be computed; empty: it was.')
    arms = serializers.SerializerMethodField()
    gain = serializers.SerializerMethodField()
    advice = AdviceSerializer(many=True)
    failed = FailedSerializer(many=True)

    @extend_schema_field(ArmsSerializer(allow_null=True))
    def get_arms(self, found: Found) -> dict[str, Any] | None:
        """The comparison with random; null where there is none."""
        return ArmsSerializer(found.arms).data if found.arms else None

    @extend_schema_field(GainSerializer(allow_null=True))
    def get_gain(self, found: Found) -> dict[str, Any] | None:
        """The forecast; null before it was worked out."""
        return GainSerializer(found.gain).data if found.gain else None


class FallenSerializer(serializers.Serializer):
    """Another strategy chooses, since the chosen one does worse than random."""

    instead = serializers.CharField()
    why = serializers.CharField()
    at = serializers.DateTimeField()
    again_at = serializers.IntegerField(help_text='With how many labels the chosen one gets another try by itself.')


class OverviewSerializer(serializers.Serializer):
    """How a backend stands in its project's choice of tasks."""

    on = serializers.BooleanField()
    strategy = serializers.CharField(source='settings.strategy')
    params = serializers.DictField(source='settings.params')
    explore = serializers.FloatField(source='settings.explore')
    batch = serializers.IntegerField(source='settings.batch')
    seed = serializers.IntegerField(source='settings.seed')
    stop = serializers.DictField(source='settings.stop')
    strategies = ChoiceSerializer(many=True)
    criteria = ChoiceSerializer(many=True)
    waiting = serializers.IntegerField(help_text='Tasks that are chosen and not served yet.')
    served = serializers.DictField(help_text='How often tasks were served, by where they came from.')
    scored = serializers.IntegerField(help_text='Tasks that have a score.')
    scored_version = serializers.CharField(source='plan.scored_version', default='')
    scored_at = serializers.DateTimeField(source='plan.scored_at', default=None)
    explanation = serializers.CharField(source='plan.explanation', default='')
    fallback = serializers.CharField(source='plan.fallback', default='', help_text='Why the strategy cannot choose.')
    fallen = FallenSerializer(allow_null=True)
    findings = FoundSerializer(source='found')


class SamplingAPI(BackendView):
    """Active learning with one backend."""

    @extend_schema(
        tags=TAGS,
        summary='Get how active learning stands',
        description='Settings, strategies with the reasons why some cannot work, the queue, and whether it is worth '
        'it: both learning curves, labels saved, what the next labels bring, and what the stopping criteria say.',
        responses={200: OverviewSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Any, pk: int, name: str) -> Response:
        """The overview."""
        return Response(self.overview(pk, name))

    def overview(self, pk: int, name: str) -> dict[str, Any]:
        """As it is sent."""
        project = self.project(pk)
        return OverviewSerializer(overview_of(project.pk, name, state_of(project, name).row)).data


class SamplingRefreshAPI(SamplingAPI):
    """Work out now whether it is worth it."""

    http_method_names = ('post', 'options')

    @extend_schema(
        tags=TAGS,
        summary='Refresh the findings about active learning',
        description='Have them worked out in the background now, however few labels have come since the last time.',
        request=None,
        responses={202: OverviewSerializer, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Any, pk: int, name: str) -> Response:
        """Ask for it."""
        actions.refresh_findings(self.project(pk), name)
        return Response(self.overview(pk, name), status=status.HTTP_202_ACCEPTED)


class SamplingUseAgainAPI(SamplingAPI):
    """End a fallback."""

    http_method_names = ('post', 'options')

    @extend_schema(
        tags=TAGS,
        summary='Use a query strategy again that fell back',
        description='Let the chosen strategy choose again after it did worse than random; it is judged by what comes '
        'from now on.',
        request=None,
        responses={200: OverviewSerializer, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Any, pk: int, name: str) -> Response:
        """Use it again."""
        actions.use_strategy_again(self.project(pk), name, request.user)
        return Response(self.overview(pk, name))
