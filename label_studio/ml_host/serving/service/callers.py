"""Who calls the prediction service: upstream's own check of the token, its outcome kept for a moment."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from label_studio.ml_host.serving.service.recent import Recent
from label_studio.ml_host.upstream import TokenAuthenticationPhaseout

# A token that was withdrawn is refused after at most this long, in seconds.
KEPT_SECONDS = 2.0

_recent: Recent[Any] = Recent(KEPT_SECONDS)


class ServiceTokenAuthentication(TokenAuthenticationPhaseout):
    """``Authorization: Token …`` as everywhere in upstream's API, without its five SQL statements each time."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The user of the token, or None without one; raises what upstream raises for a wrong one."""
        header = request.META.get('HTTP_AUTHORIZATION', '')
        if not header.startswith('Token '):
            return None
        return _recent.get(header, lambda: super(ServiceTokenAuthentication, self).authenticate(request))


forget = _recent.forget
