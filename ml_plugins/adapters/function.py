"""A plain function as a backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ml_plugins.adapters.base import Adapter
from ml_plugins.exceptions import PluginBrokenError


class FunctionBackend(Adapter):
    """Answers with what a function returns.

    Attributes:
        function: Gets a text, a picture or the path of a file, and returns what `ml_plugins.adapters.convert` takes. A
            method, or a function from elsewhere.
        batched: The function gets a list of them, and returns a list.
    """

    function: ClassVar[Callable[..., Any] | None] = None
    batched: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep a function that was not written in the class from being taken for a method."""
        super().__init_subclass__(**kwargs)
        given = cls.__dict__.get('function')
        if inspect.isfunction(given) and not given.__qualname__.startswith(f'{cls.__qualname__}.'):
            cls.function = staticmethod(given)

    def load(self) -> None:
        if not callable(self.function):
            raise PluginBrokenError(
                f'{type(self).__name__}.function is {self.function!r}; set it to the function that answers'
            )

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return self.function(inputs) if self.batched else [self.function(given) for given in inputs]
