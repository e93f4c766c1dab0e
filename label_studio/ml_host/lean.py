"""Keep libraries out of a start that nobody asked for: they cost a second and a hundred megabytes in each process."""

from __future__ import annotations

import importlib
import sys

# What a library imports only if it is installed, for parts of it that Label Studio never uses.
OPTIONAL = {'nltk': ('sklearn', 'scipy')}


def import_without_optional_parts() -> None:
    """Import libraries that Label Studio needs as if what they import besides were not installed.

    Label Studio splits texts with nltk, which has a wrapper for scikit-learn and tests of statistics with scipy.
    Whoever imports scikit-learn or scipy later gets them.
    """
    for library, unwanted in OPTIONAL.items():
        absent = [name for name in unwanted if name not in sys.modules]
        # An import of a name that stands for None fails as that of a missing library does.
        sys.modules.update(dict.fromkeys(absent))
        try:
            importlib.import_module(library)
        finally:
            for name in absent:
                del sys.modules[name]
