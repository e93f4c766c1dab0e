"""Make upstream importable and point Django at our settings; every entry point calls this first."""

import os
import sys
from pathlib import Path

from label_studio.ml_host.quiet import hush

UPSTREAM_ROOT = Path(__file__).resolve().parent.parent / '_upstream' / 'label_studio'
SETTINGS_MODULE = 'label_studio.ml_host.settings'


def prepare() -> None:
    """Append upstream's folder to the path and name the settings module.

    Upstream's apps import each other by short names (``core``, ``projects``, …). The folder is appended, not put
    first: it also holds a package called ``tests`` and a ``sitecustomize`` that must not win over ours.
    """
    if str(UPSTREAM_ROOT) not in sys.path:
        sys.path.append(str(UPSTREAM_ROOT))
    _keep_git_out()
    hush()
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', SETTINGS_MODULE)


def _keep_git_out() -> None:
    """Let git find no repository from inside upstream's folder.

    Upstream asks git which commit it is and writes the answer into its own ``version_.py``. In a checkout, or in an
    environment that lies in some other repository, that would be a foreign commit, in a file that must not change.
    """
    ceilings = os.environ.get('GIT_CEILING_DIRECTORIES', '').split(os.pathsep)
    folder = str(UPSTREAM_ROOT.parent)
    if folder not in ceilings:
        os.environ['GIT_CEILING_DIRECTORIES'] = os.pathsep.join([folder, *filter(None, ceilings)])


def setup() -> None:
    """Prepare the path and load Django with every app."""
    prepare()
    import django

    django.setup()
