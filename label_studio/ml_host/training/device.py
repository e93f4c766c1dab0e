"""Choose where a run computes without importing torch on machines that have no GPU."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)


def training_device() -> str:
    """``"cpu"``, or a CUDA device such as ``"cuda:0"``, of whose memory this process then takes no more than it may."""
    has_gpu = any(Path(node).exists() for node in ('/dev/nvidiactl', '/dev/dxg', '/dev/kfd'))
    if not has_gpu or find_spec('torch') is None:
        return 'cpu'
    try:
        from ml_plugins.torch_support import limit_gpu_memory, pick_device

        device = pick_device('auto')
        limit_gpu_memory(device, settings.ML_TRAINING_GPU_SHARE)
        return device
    except Exception:
        logger.warning('The GPU cannot be used; training runs on the processor', exc_info=True)
        return 'cpu'
