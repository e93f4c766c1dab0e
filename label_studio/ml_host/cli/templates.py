"""Upstream's annotation templates by the name that people type."""

from __future__ import annotations

import re
from pathlib import Path

from label_studio.ml_host.bootstrap import UPSTREAM_ROOT


class TemplateNotFoundError(Exception):
    """There is no such template; the message lists all names."""


def _key(name: str) -> str:
    return re.sub(r'[-_\s]+', '_', name.strip().lower())


def template_files() -> dict[str, Path]:
    """Files of all templates by name, e.g. ``image_classification``."""
    return {_key(path.parent.name): path for path in sorted(UPSTREAM_ROOT.glob('annotation_templates/*/*/config.yml'))}


def find_template(name: str) -> Path:
    """The file of one template; case, ``-``, ``_`` and spaces make no difference.

    Raises:
        TemplateNotFoundError: There is none of that name.
    """
    files = template_files()
    if _key(name) not in files:
        raise TemplateNotFoundError(f'There is no template "{name}". Templates: {", ".join(sorted(files))}')
    return files[_key(name)]


def label_config(path: Path) -> str:
    """The label config in a template's file."""
    import yaml

    return yaml.safe_load(path.read_text(encoding='utf-8'))['config']
