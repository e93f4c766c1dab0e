"""Seed every random generator that a plugin is likely to use."""

from __future__ import annotations

import random

import numpy as np

from ml_plugins import torch_support


def seed_everything(seed: int) -> None:
    """Seed ``random``, numpy's global generator and torch; torch also when it is imported later."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch_support.seed(seed)
