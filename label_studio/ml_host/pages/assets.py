"""Static files of ours, of htmx and of plugins, served from the packages that hold them.

Upstream serves only what it collected when it was built, and none of these are among that.
"""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.views import serve
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, re_path
from django.views.static import serve as serve_file

from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.failures import Stage, guarded
from ml_plugins.registry import Plugin, registry

_OURS = ('ml_host', 'django_htmx')


def asset(request: HttpRequest, path: str) -> HttpResponse:
    """One file of ours or of htmx."""
    return _asked_again(serve(request, path, insecure=True))


def plugin_asset(request: HttpRequest, path: str, folder: Path) -> HttpResponse:
    """One file of a plugin's ``static`` folder."""
    return _asked_again(serve_file(request, path, document_root=folder))


def asset_patterns() -> list[URLPattern]:
    """Addresses of our static files, and for each usable plugin of what lies in its ``static`` folder."""
    patterns = [_below(_OURS, asset, 'ml-asset')]
    taken = {*_OURS, *_names(Path(settings.STATIC_ROOT))}
    for plugin in registry.usable():
        with guarded(plugin.name, Stage.URLS):
            folder = _static_folder(plugin)
            found = _names(folder) if folder else set()
            free = sorted(found - taken)
            if free:
                patterns.append(_below(free, plugin_asset, f'ml-asset-{plugin.name}', folder=folder))
                taken.update(free)
            if len(free) < len(found):
                raise PluginBrokenError(_taken(plugin, sorted(found - set(free))))
    return patterns


def _asked_again(response: HttpResponse) -> HttpResponse:
    response['Cache-Control'] = 'no-cache'  # the browser asks whether it changed, by Last-Modified
    return response


def _below(names, view, label: str, **arguments) -> URLPattern:
    tops = '|'.join(re.escape(name) for name in names)
    return re_path(rf'^static/(?P<path>(?:{tops})(?:/.*)?)$', view, kwargs=arguments or None, name=label)


def _static_folder(plugin: Plugin) -> Path | None:
    path = getattr(plugin.config, 'path', '')
    folder = Path(path) / 'static'
    return folder if path and folder.is_dir() else None


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def _taken(plugin: Plugin, names: list[str]) -> str:
    listed = ', '.join(f'static/{name}' for name in names)
    room = f'static/{plugin.config.label}/'
    return f'{listed} of plugin "{plugin.name}" is not served: the name is taken; move it to {room}'
