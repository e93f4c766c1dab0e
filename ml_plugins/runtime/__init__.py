"""Resident models: loaded once, predicted in batches by one thread each, kept within a limit."""

from ml_plugins.runtime.limits import RuntimeLimits
from ml_plugins.runtime.model import ResidentModel
from ml_plugins.runtime.runtime import Runtime
from ml_plugins.runtime.spec import ModelSpec
from ml_plugins.runtime.stats import ModelStats
from ml_plugins.runtime.waiting import Priority

__all__ = ['ModelSpec', 'ModelStats', 'Priority', 'ResidentModel', 'Runtime', 'RuntimeLimits']
