"""Which addresses in private networks HTTP ML backends may have: those that somebody named, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

HOW = (
    'Addresses in private networks are refused unless the setting ML_ALLOWED_BACKEND_URLS names them, or the server '
    'is started with --ml-backend-url.'
)


def origin_of(url: str) -> str:
    """Scheme, host and port of an address; empty for what is no HTTP address."""
    try:
        parts = urlsplit(url)
        port = parts.port or {'http': 80, 'https': 443}.get(parts.scheme)
    except ValueError:
        return ''
    return f'{parts.scheme}://{parts.hostname}:{port}' if parts.scheme in ('http', 'https') and parts.hostname else ''


def is_allowed(url: str) -> bool:
    """Whether an address may be asked although it may be in a private network."""
    if not settings.ML_BLOCK_LOCAL_IP:
        return bool(origin_of(url))
    origin = origin_of(url)
    return bool(origin) and origin in {origin_of(named) for named in settings.ML_ALLOWED_BACKEND_URLS}


def create_session(original: Callable[..., Any], api: Any) -> Any:
    """Seam of ``BaseHTTPAPI.create_session``: connections to that address, and only to that, are not guarded."""
    session = original(api)
    if settings.ML_BLOCK_LOCAL_IP and is_allowed(api._url):
        from requests.adapters import HTTPAdapter

        parts = urlsplit(api._url)
        # With the slash, so that no longer host name begins with it; what it redirects to stays guarded.
        session.mount(f'{parts.scheme}://{parts.netloc.rpartition("@")[2]}/', HTTPAdapter(max_retries=api._max_retries))
    return session
