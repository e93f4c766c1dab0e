"""How a project chooses what to label next: the settings of its plan, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from label_studio.ml_host.models import SamplingPlan
from ml_plugins.exceptions import MLPluginError, ParameterError, StrategyError

if TYPE_CHECKING:
    from ml_plugins.strategies import QueryStrategy, StoppingCriterion

# Criteria that look at a project unless it has chosen others; what labels cost is a matter of each project.
USUAL_STOP: Mapping[str, Mapping[str, Any]] = {'marginal_gain': {}, 'prediction_stability': {}}
_LIMITS: dict[str, tuple[float, float]] = {'explore': (0.0, 1.0), 'batch': (1, 10_000), 'seed': (0, 2**31 - 1)}


class SamplingSettingsError(MLPluginError):
    """A setting that cannot be; the message names the field, the value and what is allowed."""

    code = 'bad_sampling_settings'


class SamplingOffError(MLPluginError):
    """Something was asked of active learning that it does not do now; the message says what to do first."""

    code = 'sampling_off'


@dataclass(frozen=True)
class SamplingSettings:
    """What a project may set.

    Attributes:
        strategy: Name of the query strategy.
        params: Values of its parameters that differ from the defaults.
        explore: Share of tasks that are drawn at random, whatever the strategy says; what is known without bias about
            the project comes from them.
        batch: Tasks that are chosen ahead.
        seed: Seed of every choice.
        stop: Stopping criteria by name, each with the values of its parameters that differ from the defaults.
    """

    strategy: str = 'automatic'
    params: Mapping[str, Any] = field(default_factory=dict)
    explore: float = 0.05
    batch: int = 50
    seed: int = 0
    stop: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: dict(USUAL_STOP))

    @classmethod
    def of(cls, plan: SamplingPlan | None) -> SamplingSettings:
        """The settings of a plan, or the defaults."""
        found = {item.name: getattr(plan, item.name) for item in fields(cls)} if plan is not None else {}
        # A plan that has never chosen others goes on with the usual ones.
        return cls(**{name: value for name, value in found.items() if name != 'stop' or value is not None})

    def changed(self, values: Mapping[str, Any]) -> SamplingSettings:
        """These settings with some of them changed.

        Args:
            values: By name; numbers may come as text, from a form. Another strategy begins with its defaults unless
                parameters come with it.

        Raises:
            SamplingSettingsError: Names the field, the value and what is allowed.
        """
        known = [item.name for item in fields(self)]
        if unknown := sorted(values.keys() - set(known)):
            raise SamplingSettingsError(
                f'sampling.{unknown[0]}: there is no such setting; there are on, {", ".join(known)}'
            )
        read = {name: _number(name, value) for name, value in values.items() if name in _LIMITS}
        name = str(values.get('strategy', self.strategy)).strip()
        params = values.get('params', self.params if name == self.strategy else {})
        stop = _stop(values['stop']) if 'stop' in values else self.stop
        return replace(self, **read, strategy=name, params=_params(name, params), stop=stop)


def _number(name: str, value: Any) -> float | int:
    low, high = _LIMITS[name]
    kind = type(getattr(SamplingSettings, name))
    try:
        number = kind(value)
        if isinstance(value, bool) or not low <= number <= high or number != float(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        what = 'a whole number' if kind is int else 'a number'
        raise SamplingSettingsError(f'sampling.{name}: {value!r} must be {what} from {low} to {high}') from None
    return number


def _params(strategy_name: str, values: Any) -> dict[str, Any]:
    from ml_plugins.strategies import strategy

    if not isinstance(values, Mapping):
        raise SamplingSettingsError(f'sampling.params: {values!r} must be parameters by name')
    try:
        chosen = strategy(strategy_name, values)
    except StrategyError as error:
        raise SamplingSettingsError(f'sampling.strategy: {error}') from error
    except ParameterError as error:
        raise SamplingSettingsError(f'sampling.params: {error}') from error
    return _differing(chosen, values)


def _stop(values: Any) -> dict[str, dict[str, Any]]:
    from ml_plugins.strategies import criterion

    if not isinstance(values, Mapping):
        raise SamplingSettingsError(
            f'sampling.stop: {values!r} must be stopping criteria by name, each with its parameters: '
            '{"budget": {"labels": 500}}'
        )
    found = {}
    for name, params in values.items():
        if not isinstance(params, Mapping):
            raise SamplingSettingsError(f'sampling.stop.{name}: {params!r} must be parameters by name')
        try:
            found[str(name)] = _differing(criterion(str(name), params), params)
        except StrategyError as error:
            raise SamplingSettingsError(f'sampling.stop: {error}') from error
        except ParameterError as error:
            raise SamplingSettingsError(f'sampling.stop.{name}: {error}') from error
    return found


def _differing(chosen: QueryStrategy | StoppingCriterion, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values that were sent those that are no defaults."""
    defaults = {param.name: param.default for param in chosen.params}
    return {name: chosen.param_values[name] for name in values if chosen.param_values[name] != defaults[name]}
