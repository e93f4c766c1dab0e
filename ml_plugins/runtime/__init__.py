"""Resident models: loaded once, predicted in batches by one thread each, kept within a limit."""

from ml_plugins.runtime.model import Priority
from ml_plugins.runtime.runtime import Runtime, RuntimeLimits
from ml_plugins.runtime.spec import ModelSpec

__all__ = ['ModelSpec', 'Priority', 'Runtime', 'RuntimeLimits']
