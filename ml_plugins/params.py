"""Parameters of a backend that each project may set; the page builds its form from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_plugins.exceptions import ParameterError
from ml_plugins.plain import why_not_json


@dataclass(frozen=True)
class Param:
    """One parameter.

    Attributes:
        name: A Python identifier.
        default: Value when the project sets none; its type is the parameter's type (bool, int, float or str).
        help: One sentence for the page.
        choices: Allowed values; empty for any.
        minimum: Smallest allowed number.
        maximum: Largest allowed number.
    """

    name: str
    default: bool | int | float | str
    help: str = ''
    choices: Sequence[Any] = ()
    minimum: float | None = None
    maximum: float | None = None

    def clean(self, value: Any) -> bool | int | float | str:
        """Convert and check one value, which may come from a form as text.

        Raises:
            ParameterError: Names the parameter, the value and what is allowed.
        """
        kind = type(self.default)
        try:
            if kind is bool:
                cleaned: Any = _to_bool(value)
            elif kind is int and isinstance(value, float) and not value.is_integer():
                raise ValueError
            else:
                cleaned = kind(value)
        except (TypeError, ValueError):
            raise ParameterError(f'parameter "{self.name}": {value!r} is not of type {kind.__name__}') from None
        if reason := why_not_json(cleaned):
            raise ParameterError(f'parameter "{self.name}": {value!r} cannot be stored: {reason}')
        if self.choices and cleaned not in self.choices:
            allowed = ', '.join(str(choice) for choice in self.choices)
            raise ParameterError(f'parameter "{self.name}": {value!r} is not one of {allowed}')
        if self.minimum is not None and cleaned < self.minimum:
            raise ParameterError(f'parameter "{self.name}": {value!r} is below {self.minimum}')
        if self.maximum is not None and cleaned > self.maximum:
            raise ParameterError(f'parameter "{self.name}": {value!r} is above {self.maximum}')
        return cleaned


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ('true', 'on', 'yes', '1'):
        return True
    if text in ('false', 'off', 'no', '0', ''):
        return False
    raise ValueError(value)


def resolve_params(params: Sequence[Param], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check values and fill in defaults.

    Raises:
        ParameterError: A name is unknown or a value is not allowed.
    """
    known = {param.name: param for param in params}
    unknown = sorted(set(values) - set(known))
    if unknown:
        listed = ', '.join(sorted(known)) or 'none'
        raise ParameterError(f'unknown parameter "{unknown[0]}"; this backend has: {listed}')
    return {name: param.clean(values[name]) if name in values else param.default for name, param in known.items()}
