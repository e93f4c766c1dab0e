"""Label Studio with models inside: our host code joined with the pinned upstream release.

The upstream wheel is unpacked verbatim into ``label_studio/_upstream`` by the build step (see ``setup.py``).
This package appends upstream's own package folder to its search path, so that ``label_studio.core`` and the
rest of upstream are importable, while everything found here first is ours.
"""

from pathlib import Path

_UPSTREAM = Path(__file__).resolve().parent / '_upstream' / 'label_studio'

if not (_UPSTREAM / '__init__.py').is_file():
    raise ImportError(
        'The upstream release is missing from label_studio/_upstream. '
        'Run "pip install -e ." in the checkout: the build step downloads and unpacks it.'
    )

__path__.append(str(_UPSTREAM))

# Upstream code reads and writes these names on this package.
from label_studio._upstream.label_studio import (  # noqa: E402
    __current_version_is_outdated__,
    __latest_version__,
    __latest_version_check_time__,
    __latest_version_upload_time__,
    __version__,
    package_name,
)

__all__ = [
    '__current_version_is_outdated__',
    '__latest_version__',
    '__latest_version_check_time__',
    '__latest_version_upload_time__',
    '__version__',
    'package_name',
]
