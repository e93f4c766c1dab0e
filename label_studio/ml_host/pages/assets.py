"""Our static files, and htmx's, served from the packages that hold them."""

from __future__ import annotations

from django.contrib.staticfiles.views import serve
from django.http import HttpRequest, HttpResponse
from django.urls import re_path


def asset(request: HttpRequest, path: str) -> HttpResponse:
    """One file; upstream serves only what it collected when it was built, and ours is not among that."""
    response = serve(request, path, insecure=True)
    response['Cache-Control'] = 'no-cache'  # the browser asks whether it changed, by Last-Modified
    return response


urlpatterns = [re_path(r'^static/(?P<path>(?:ml_host|django_htmx)/.*)$', asset, name='ml-asset')]
