"""Filters of the ML backends page."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.filter
def figure(value: Any) -> str:
    """A metric for people: four significant digits."""
    if isinstance(value, float):
        return f'{value:.4g}'
    return str(value)
