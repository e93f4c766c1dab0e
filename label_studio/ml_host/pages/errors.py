"""What the server says when a request fails for a reason that the person can mend."""

from __future__ import annotations

import errno
import logging
import sys

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

logger = logging.getLogger(__name__)

_FULL_DATABASE = 'database or disk is full'


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``: a full disk is said in a sentence; the rest is Django's page."""
    error = sys.exc_info()[1]
    if not _is_full_disk(error):
        return defaults.server_error(request)
    sentence = (
        f'The disk of this server is full, so nothing could be stored: {settings.BASE_DATA_DIR}. '
        'Free some space and try again; what was stored before is still there.'
    )
    logger.error('%s %s: %s', request.method, request.path, sentence)
    if '/api/' in request.path:
        return JsonResponse({'detail': sentence, 'code': 'disk_full'}, status=507)
    return HttpResponse(sentence, content_type='text/plain; charset=utf-8', status=507)


def _is_full_disk(error: BaseException | None) -> bool:
    return _FULL_DATABASE in str(error) or getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT)
