"""Load a version once, in a process of its own, before it counts: one that crashes takes nothing along."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from ml_plugins.backend import BackendContext
from ml_plugins.failures import describe
from ml_plugins.label_config import parse_label_config
from ml_plugins.registry import registry
from ml_plugins.runtime import RuntimeLimits
from ml_plugins.runtime.fence.backend import FencedBackend
from ml_plugins.types import VersionFiles


def why_not_loadable(
    project: Any, backend: str, params: Mapping[str, Any], files: Path, metrics: Mapping[str, Any]
) -> str:
    """Why a backend cannot load files of a version on a project; empty when it can.

    Args:
        params: The project's parameters of the backend.
        files: Folder with the files.
        metrics: The version's metrics.
    """
    context = BackendContext(
        label_config=parse_label_config(project.label_config),
        params=dict(params),
        version=VersionFiles(0, files, dict(metrics)),
        device=settings.ML_DEVICE,
        project_id=project.pk,
        cache_directory=Path(settings.ML_CACHE_DIR) / backend / str(project.pk),
    )
    fenced = FencedBackend(backend, registry.get(backend).backend_class(), context)
    limit = threading.Timer(RuntimeLimits().setup_seconds, fenced.kill)
    limit.daemon = True
    limit.start()
    try:
        fenced.setup()
    except Exception as error:  # a plugin's setup may raise anything
        return describe(error)
    finally:
        limit.cancel()
    fenced.close()
    return ''
