"""Libraries that only some adapters need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ml_plugins.exceptions import RequirementMissingError


def require(module: str, extra: str, backend: str) -> ModuleType:
    """Import a library of an extra.

    Args:
        module: Its name in an import.
        extra: The extra of this distribution that brings it.
        backend: Whose need it is, for the message.

    Raises:
        RequirementMissingError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        missing = getattr(error, 'name', None) or module
        if missing.partition('.')[0] == module.partition('.')[0]:
            problem = f'{module}, which is not installed'
        else:
            # The library is there and lacks one of its own: its message is the useful one.
            problem = f'{module}, and that cannot be imported: {error}'
        raise RequirementMissingError(f"{backend} needs {problem}. Run: pip install 'label-studio[{extra}]'") from error
