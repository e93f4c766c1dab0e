"""Torch as the machine has it: one way to import torchvision, to pick a device and to set the number of threads."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ml_plugins.exceptions import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_MISSING_OPS = 'operator torchvision::nms does not exist'
_lock = threading.Lock()
# A torch.library.Library takes its operators with it when it is collected.
_libraries: list[Any] = []
# What the host wants of torch, once somebody imports it.
_seed: int | None = None


def seed(value: int) -> None:
    """Seed torch's generators: now if torch is loaded, else as soon as a function of this module loads it.

    A backend that imports torch by itself gets torch's own seed until then, which is the same in each process.
    """
    global _seed
    _seed = value
    if 'torch' in sys.modules:
        _settle()


def _settle() -> None:
    """Give torch the seed, once."""
    global _seed
    value, _seed = _seed, None
    if value is not None:
        import torch

        torch.manual_seed(value)


def import_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled operators cannot be loaded.

    PyPI's torchvision is built for CUDA: beside a torch without CUDA its library does not load, and the import ends
    with an error. Then ``nms`` is defined in Python and the import is done again; classification and detection models
    work, operators such as ``deform_conv2d`` do not. A matching pair is left as it is.
    """
    _settle()
    with _lock:
        try:
            return import_module('torchvision')
        except RuntimeError as error:
            import torch

            if torch.version.cuda is not None or _MISSING_OPS not in str(error):
                raise
        return _import_with_python_ops()


def pick_device(wanted: str = 'auto') -> str:
    """The device to compute on.

    Args:
        wanted: ``"auto"`` for the first CUDA device or else the processor; or a device's name.

    Raises:
        ParameterError: That device is not there.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    _settle()
    if wanted in ('', 'auto'):
        return 'cuda:0' if count else 'cpu'
    name = 'cuda:0' if wanted == 'cuda' else wanted
    present = ['cpu', *(f'cuda:{index}' for index in range(count))]
    if name not in present:
        raise ParameterError(f'device "{wanted}" is not there; this machine has: {", ".join(present)}')
    return name


def limit_gpu_memory(device: str, share: float) -> None:
    """Let torch take at most this share of a GPU's memory in this process; nothing to do on a processor."""
    if device.startswith('cuda') and share < 1:
        import torch

        torch.cuda.set_per_process_memory_fraction(share, device)


def use_threads(most: int = 8) -> int:
    """Let torch use the processors that this process may run on, at most `most`; for worker processes."""
    import torch

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    count = max(1, min(allowed, most))
    torch.set_num_threads(count)
    _settle()
    return count


def _import_with_python_ops() -> ModuleType:
    """Define the operators that torchvision checks for while it is imported, and import it afresh."""
    import torch

    logger.info('torchvision has no compiled operators for torch %s: nms runs in Python', torch.__version__)
    for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:
        del sys.modules[name]
    if not _libraries:
        library = torch.library.Library('torchvision', 'DEF')
        for operator in ('nms', 'qnms'):
            library.define(f'{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        library.impl('nms', nms, 'CPU')
        _libraries.append(library)
    torchvision = import_module('torchvision')
    # ops.nms asks here whether it may call the operator. roi_align holds its own reference and stays with its
    # pure-torch path, whose decorator would spend minutes compiling.
    torchvision.extension._has_ops = lambda: True
    roi_align = sys.modules['torchvision.ops.roi_align']
    roi_align._roi_align = inspect.unwrap(roi_align._roi_align)
    return torchvision


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: indices of the kept boxes, by falling score.

    Args:
        dets: Boxes as x1, y1, x2, y2, of shape (n, 4).
        scores: Of shape (n,).
        iou_threshold: A box is dropped when it overlaps a better one by more than this.
    """
    import numpy as np
    import torch

    order = torch.sort(scores, stable=True, descending=True).indices
    left, top, right, bottom = dets[order].detach().float().numpy().T
    area = (right - left) * (bottom - top)
    alive = np.ones(len(order), dtype=bool)
    with np.errstate(invalid='ignore', divide='ignore'):
        for index in range(len(order) - 1):
            if not alive[index]:
                continue
            rest = slice(index + 1, None)
            width = np.minimum(right[index], right[rest]) - np.maximum(left[index], left[rest])
            height = np.minimum(bottom[index], bottom[rest]) - np.maximum(top[index], top[rest])
            shared = width.clip(min=0) * height.clip(min=0)
            alive[rest] &= ~(shared / (area[index] + area[rest] - shared) > iou_threshold)
    return order[torch.from_numpy(alive)]
