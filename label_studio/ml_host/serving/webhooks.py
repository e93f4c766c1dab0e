"""Webhooks of connected HTTP ML backends: delivered in the background, also to addresses that the settings allow.

Upstream makes a webhook for each backend that is connected, so that it hears of annotations. It sends it within the
annotator's request, and refuses the address of a backend that the server's settings allow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from label_studio.ml_host.http_backends import delivery
from label_studio.ml_host.http_backends.allowed import is_allowed

_SUFFIX = '/webhook'


def validate_url(original: Callable[..., Any], serializer, value: str) -> Any:
    """Seam of ``WebhookSerializer.validate_url``."""
    return value if is_allowed(value) and is_of_backend(value) else original(serializer, value)


def post(original: Callable[..., Any], url: str, *args: Any, **kwargs: Any) -> Any:
    """Seam of ``webhooks.utils.ssrf_safe_post``, which delivers webhooks; those of backends are sent a moment later."""
    if not is_of_backend(url):
        return original(url, *args, **kwargs)
    if is_allowed(url):
        kwargs['block_local_urls'] = False
    delivery.send(url, partial(original, url, *args, **kwargs))
    return None


def is_of_backend(url: str) -> bool:
    """Whether this is the webhook of a connected backend."""
    from label_studio.ml_host.upstream import UpstreamMLBackend

    if not url.startswith(('http://', 'https://')) or not url.endswith(_SUFFIX):
        return False
    base = url.removesuffix(_SUFFIX)
    return UpstreamMLBackend.objects.filter(url__in=(base, f'{base}/')).exists()
