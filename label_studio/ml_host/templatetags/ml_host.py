"""Tags and filters of the ML backends page."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django import template
from django.conf import settings

register = template.Library()


def _version() -> str:
    try:
        return version('label-studio')
    except PackageNotFoundError:
        return '0'


_VERSION = _version()


@register.simple_tag
def asset(path: str) -> str:
    """Address of one of our static files; upstream's ``static`` tag knows only what upstream collected."""
    return f'{settings.HOSTNAME}{settings.STATIC_URL}{path}?v={_VERSION}'


@register.filter
def figure(value: Any) -> str:
    """A metric for people: four significant digits."""
    return f'{value:.4g}' if isinstance(value, float) else str(value)
