"""One parameter of a backend, a strategy or a stopping criterion in a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml_plugins.params import Param


@dataclass(frozen=True)
class Field:
    """One parameter in the form.

    Attributes:
        prefix: Stands before the parameter's name in a form that has parameters of several things.
    """

    param: Param
    value: Any
    prefix: str = ''

    @property
    def name(self) -> str:
        """What the form sends it as."""
        return f'{self.prefix}{self.param.name}'

    @property
    def kind(self) -> str:
        """How the form asks for it: ``choice``, ``flag``, ``number`` or ``text``."""
        if self.param.choices:
            return 'choice'
        if isinstance(self.param.default, bool):
            return 'flag'
        return 'number' if isinstance(self.param.default, (int, float)) else 'text'

    @property
    def step(self) -> str:
        """Step of a number field."""
        return 'any' if isinstance(self.param.default, float) else '1'

    # Numbers as a browser reads them: a template would write them in the language of the person.
    @property
    def text(self) -> str:
        """The value of a number field."""
        return str(self.value)

    @property
    def minimum(self) -> str:
        """Smallest number allowed."""
        return str(self.param.minimum)

    @property
    def maximum(self) -> str:
        """Largest number allowed."""
        return str(self.param.maximum)
