"""Figures for Prometheus."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from label_studio.ml_host.serving import metrics


class MayReadMetrics(BasePermission):
    """Anybody who is signed in, or anybody at all where the server's settings say so."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """See the class."""
        return settings.ML_METRICS_ANONYMOUS or bool(request.user and request.user.is_authenticated)


class MetricsAPI(APIView):
    """Requests, batches, waits, models, failures and bulk runs in Prometheus's text format."""

    permission_classes = (MayReadMetrics,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Everything that this process knows now."""
        text, kind = metrics.text()
        return HttpResponse(text, content_type=kind)
