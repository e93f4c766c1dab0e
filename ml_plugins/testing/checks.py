"""What can be said about a backend class without running it; used by ``label-studio plugins check``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ml_plugins.backend import MLBackend, Serves
from ml_plugins.exceptions import ParameterError
from ml_plugins.params import Param

# Method -> names of the arguments that a host passes, in order.
_CALLS: dict[str, tuple[str, ...]] = {
    '__init__': ('context',),
    'setup': (),
    'memory_bytes': (),
    'predict': ('tasks', 'interaction'),
    'fit': ('dataset', 'run'),
    'close': (),
}
# The same of class methods.
_CLASS_CALLS: dict[str, tuple[str, ...]] = {
    'check': ('label_config',),
    'agreement': ('answer', 'truth'),
}


def check_backend(backend_class: type) -> list[str]:
    """Look at a backend's attributes, parameters and signatures.

    Args:
        backend_class: The class that a plugin's ``backend`` names.

    Returns:
        Problems, each a sentence that says what to change; empty when there are none.
    """
    if not (isinstance(backend_class, type) and issubclass(backend_class, MLBackend)):
        return [f'{backend_class!r} is not a subclass of ml_plugins.MLBackend']
    problems = [
        *_abstract(backend_class),
        *_serves(backend_class),
        *_params(backend_class),
        *_numbers(backend_class),
        *_fence(backend_class),
        *_safe_files(backend_class),
        *_signatures(backend_class),
    ]
    return [f'{backend_class.__name__}: {problem}' for problem in problems]


def _abstract(backend_class: type[MLBackend]) -> list[str]:
    missing = sorted(getattr(backend_class, '__abstractmethods__', ()))
    return [f'it must define {name}()' for name in missing]


def _serves(backend_class: type[MLBackend]) -> list[str]:
    serves = backend_class.serves
    if not _is_sequence(serves):
        return [f'serves is {serves!r}; it must be a list or tuple of Serves(control, object)']
    return [f'serves holds {item!r}; use Serves("Choices", "Image")' for item in serves if not isinstance(item, Serves)]


def _params(backend_class: type[MLBackend]) -> list[str]:
    params = backend_class.params
    if not _is_sequence(params):
        return [f'params is {params!r}; it must be a list or tuple of Param']
    problems: list[str] = []
    seen: set[str] = set()
    for param in params:
        if not isinstance(param, Param):
            problems.append(f'params holds {param!r}; use Param(name, default)')
            continue
        if not param.name.isidentifier():
            problems.append(f'the parameter name {param.name!r} is not a Python identifier')
        if param.name in seen:
            problems.append(f'the parameter "{param.name}" is there twice')
        seen.add(param.name)
        problems.extend(_default(param))
    return problems


def _default(param: Param) -> list[str]:
    if not isinstance(param.default, (bool, int, float, str)):
        return [f'the default of parameter "{param.name}" must be a bool, int, float or str, not {param.default!r}']
    try:
        param.clean(param.default)
    except ParameterError as error:
        return [f'the default is not allowed: {error}']
    return []


def _fence(backend_class: type[MLBackend]) -> list[str]:
    fence, memory = backend_class.fence, backend_class.fence_memory
    problems = [f'fence is {fence!r}; it must be "thread" or "process"'] if fence not in ('thread', 'process') else []
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
        problems.append(f'fence_memory is {memory!r}; it must be a number of bytes, 0 for no limit')
    elif memory and fence == 'thread':
        problems.append('fence_memory has no effect without fence = "process"')
    return problems


def _safe_files(backend_class: type[MLBackend]) -> list[str]:
    patterns = backend_class.safe_files
    if _is_sequence(patterns) and all(isinstance(item, str) for item in patterns):
        return []
    return [f'safe_files is {patterns!r}; it must be a list or tuple of patterns such as "weights.bin"']


def _numbers(backend_class: type[MLBackend]) -> list[str]:
    problems = []
    size = backend_class.max_batch
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        problems.append(f'max_batch is {size!r}; it must be a whole number from 1 on')
    delay = backend_class.max_delay
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= 60:
        problems.append(f'max_delay is {delay!r}; it must be seconds from 0 to 60')
    if backend_class.needs_training and not backend_class.can_fit():
        problems.append('needs_training is set, but it has no fit(); it could never predict')
    if backend_class.embeds_untrained and not backend_class.needs_training:
        problems.append(
            'embeds_untrained has no effect without needs_training; its first predictions count as they are'
        )
    return problems


def _signatures(backend_class: type[MLBackend]) -> list[str]:
    problems = []
    for name, arguments in _CALLS.items():
        # Called as a host calls it: on an instance, by position.
        problem = _call_problem(getattr(backend_class, name), ('self', *arguments))
        if problem:
            problems.append(f'{name}() must take ({", ".join(arguments)}): {problem}')
    for name, arguments in _CLASS_CALLS.items():
        wanted = ', '.join(arguments)
        if not inspect.ismethod(inspect.getattr_static(backend_class, name).__get__(None, backend_class)):
            problems.append(f'{name}() must be a classmethod')
        elif problem := _call_problem(getattr(backend_class, name), arguments):
            problems.append(f'{name}() must take ({wanted}): {problem}')
    return problems


def _call_problem(function: Callable[..., Any], arguments: Sequence[str]) -> str:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        return str(error)
    return ''


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
