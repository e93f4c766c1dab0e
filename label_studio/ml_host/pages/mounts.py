"""URLs of plugins below ``/plugins/<name>/``; a URLconf that does not load leaves the others working."""

from __future__ import annotations

from importlib import import_module

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver, include, path

from ml_plugins.failures import Stage, guarded
from ml_plugins.registry import Plugin, registry


def plugin_patterns() -> list[URLPattern | URLResolver]:
    """One mount for each usable plugin that has a URLconf."""
    mounted: list[URLPattern | URLResolver] = []
    for plugin in registry.usable():
        with guarded(plugin.name, Stage.URLS):
            if plugin.config.url_conf:
                mounted.append(_mount(plugin))
    return mounted


def _mount(plugin: Plugin) -> URLResolver:
    module = import_module(plugin.config.url_conf)
    found = path(f'plugins/{plugin.name}/', include((module, plugin.config.label), namespace=plugin.config.label))
    _read(found, plugin.config.url_conf)
    return found


def _read(resolver: URLResolver, where: str) -> None:
    """Read all patterns now, while the guard stands; Django would at the first request of any page."""
    for pattern in resolver.url_patterns:
        if not isinstance(pattern, (URLPattern, URLResolver)):
            raise ImproperlyConfigured(f'{where} holds {pattern!r}, which is not a URL pattern')
        _ = pattern.pattern.regex
        if isinstance(pattern, URLResolver):
            _read(pattern, where)
