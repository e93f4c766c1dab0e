"""What is held against what: the options of a replay, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from label_studio.ml_host.analysis.errors import AnalysisOptionError

# What every other strategy is held against; it takes part without being asked.
BASELINE = 'random'
LIMITS = {'labels': (20, 2000), 'batch': (1, 500), 'seeds': (1, 20)}


@dataclass(frozen=True)
class ReplayOptions:
    """What a person may choose.

    Attributes:
        strategies: Names; the baseline takes part anyway.
        labels: At which the curves end, where there are so many.
        batch: Labels between two models.
        seeds: Repetitions, each with other tasks held out and another start.
        control: Name of the control in the label config; empty for the first that will do.
    """

    strategies: Sequence[str] = ('automatic', 'margin')
    labels: int = 200
    batch: int = 10
    seeds: int = 5
    control: str = ''

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> ReplayOptions:
        """From what a person sent; numbers may come as text, from a form.

        Raises:
            AnalysisOptionError: Names the option, the value and what is allowed.
        """
        known = [item.name for item in fields(cls)]
        if unknown := sorted(values.keys() - set(known)):
            raise AnalysisOptionError(f'{unknown[0]}: there is no such option; there are {", ".join(known)}')
        numbers = {name: _whole(name, values[name]) for name in LIMITS if name in values}
        strategies = _names(values['strategies']) if 'strategies' in values else cls.strategies
        read = cls(strategies=strategies, control=str(values.get('control') or ''), **numbers)
        if read.batch * 2 > read.labels:
            raise AnalysisOptionError(
                f'batch: {read.batch} labels between two models are too many for a curve of {read.labels}; '
                f'choose {read.labels // 2} or fewer'
            )
        return read

    def as_json(self) -> dict[str, Any]:
        """For the run's row."""
        return {**asdict(self), 'strategies': list(self.strategies)}


def _whole(name: str, value: Any) -> int:
    low, high = LIMITS[name]
    try:
        number = int(value)
        if isinstance(value, bool) or number != float(value) or not low <= number <= high:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise AnalysisOptionError(f'{name}: {value!r} must be a whole number from {low} to {high}') from None
    return number


def _names(value: Any) -> tuple[str, ...]:
    from ml_plugins.strategies import strategy_classes

    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise AnalysisOptionError(f'strategies: {value!r} must be a list of names, at least one')
    there = strategy_classes()
    if unknown := [name for name in value if name not in there]:
        raise AnalysisOptionError(f'strategies: there is no strategy {unknown[0]!r}; there are {", ".join(there)}')
    return tuple(dict.fromkeys((*map(str, value), BASELINE)))
