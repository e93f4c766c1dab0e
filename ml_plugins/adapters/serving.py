"""A plugin in one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ml_plugins.adapters.function import FunctionBackend
from ml_plugins.backend import MLBackend, Serves
from ml_plugins.config import MLBackendConfig
from ml_plugins.exceptions import PluginBrokenError


def serve(
    model: type[MLBackend] | Callable[[Any], Any] | str, *serves: Serves | tuple[str, str], **attributes: Any
) -> type[MLBackendConfig]:
    """The app config of a plugin, for the entry point to name; write ``MyModelConfig = serve(predict, ...)``.

    Args:
        model: A function that answers for one text or picture, a backend class, or where one of them is, as
            ``"package.module:name"``, which is imported only when the model is needed.
        serves: Pairs of tags that it answers, e.g. ``('Choices', 'Text')``; not needed for a backend class.
        attributes: Of the backend, e.g. ``labels``, ``max_batch`` or ``params``; and ``verbose_name`` and
            ``description`` of the app config. ``package`` names the plugin's package when it is not the caller's.

    Raises:
        PluginBrokenError: It is none of these.
    """
    is_class = isinstance(model, type) and issubclass(model, MLBackend)
    if not (isinstance(model, (str, partial)) or inspect.isroutine(model) or is_class):
        raise PluginBrokenError(
            f'serve() takes a function, a backend class or "package.module:name", not {model!r}; write a subclass of '
            'SklearnBackend, TorchBackend, TransformersBackend or OnnxBackend for it'
        )
    package = attributes.pop('package', None) or _caller()
    words = package.rpartition('.')[2].replace('_', ' ').capitalize()
    described = {
        'name': package,
        'verbose_name': attributes.pop('verbose_name', words),
        'description': attributes.pop('description', ''),
        '__module__': package,
    }
    pairs = tuple(pair if isinstance(pair, Serves) else Serves(*pair) for pair in serves)
    made: dict[str, type[MLBackend]] = {}

    def backend_class(self: MLBackendConfig) -> type[MLBackend]:
        if 'backend' not in made:
            found = _found(model) if isinstance(model, str) else model
            made['backend'] = _backend(found, pairs, attributes, package)
        return made['backend']

    return type('ServedConfig', (MLBackendConfig,), {**described, 'backend_class': backend_class})


def _backend(model: Any, pairs: Sequence[Serves], attributes: dict[str, Any], package: str) -> type[MLBackend]:
    attributes = {**attributes, **({'serves': pairs} if pairs else {})}
    if isinstance(model, type) and issubclass(model, MLBackend):
        return type(model.__name__, (model,), {**attributes, '__module__': package}) if attributes else model
    if not callable(model) or isinstance(model, type):
        raise PluginBrokenError(f'{model!r} is neither a function nor a backend class')
    if not pairs:
        raise PluginBrokenError(
            f'serve({getattr(model, "__name__", model)}) needs the tags that it answers, e.g. ("Choices", "Text")'
        )
    content = {**attributes, 'function': staticmethod(model), '__module__': package, '__doc__': model.__doc__}
    return type('ServedFunction', (FunctionBackend,), content)


def _found(place: str) -> Any:
    from importlib import import_module

    module_name, _, attribute = place.partition(':')
    found = getattr(import_module(module_name), attribute, None) if attribute else None
    if found is None:
        raise PluginBrokenError(f'there is no {place!r}; it must be "package.module:name"')
    return found


def _caller() -> str:
    """The package that calls `serve`: that of its module, or the module itself where it is a package."""
    frame = inspect.currentframe()
    module = frame.f_back.f_back.f_globals if frame and frame.f_back and frame.f_back.f_back else {}
    return str(module.get('__package__') or module.get('__name__', ''))
