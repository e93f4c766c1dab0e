"""Addresses that ``{% static %}`` gives: upstream's, and plain ones for files that upstream did not collect."""

from __future__ import annotations

from typing import Any

from django.contrib.staticfiles import finders

from label_studio.ml_host.upstream import SkipMissedManifestStaticFilesStorage


class StaticFiles(SkipMissedManifestStaticFilesStorage):
    """Upstream's storage knows the files it collected by their hashed names and has no name for any other."""

    def hashed_name(self, name: str, content: Any = None, filename: str | None = None) -> str:
        """Upstream's name; where it has none, the plain name of a file in some app's ``static`` folder."""
        return super().hashed_name(name, content, filename) or (name if finders.find(name) else '')
