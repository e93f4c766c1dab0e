"""Webhooks of HTTP ML backends on this machine or in a private network, where those backends are allowed.

Upstream makes a webhook for each backend that is connected, so that it hears of annotations, and then refuses the
address of a backend that ``ML_BLOCK_LOCAL_IP`` allows: connecting it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings

_SUFFIX = '/webhook'


def validate_url(original: Callable[..., Any], serializer, value: str) -> Any:
    """Seam of ``WebhookSerializer.validate_url``."""
    return value if is_of_allowed_backend(value) else original(serializer, value)


def post(original: Callable[..., Any], url: str, *args: Any, **kwargs: Any) -> Any:
    """Seam of ``webhooks.utils.ssrf_safe_post``, which delivers webhooks."""
    if is_of_allowed_backend(url):
        kwargs['block_local_urls'] = False
    return original(url, *args, **kwargs)


def is_of_allowed_backend(url: str) -> bool:
    """Whether this is the webhook of a connected backend, and backends may be in private networks."""
    from label_studio.ml_host.upstream import UpstreamMLBackend

    if settings.ML_BLOCK_LOCAL_IP or not url.startswith(('http://', 'https://')) or not url.endswith(_SUFFIX):
        return False
    base = url.removesuffix(_SUFFIX)
    return UpstreamMLBackend.objects.filter(url__in=(base, f'{base}/')).exists()
