"""``label_studio_ml.response``: what `predict` may return in place of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ModelResponse:
    """Predictions with the version of the model.

    The items stay what they are given as: dictionaries or ``PredictionValue``. Unknown arguments are left aside, since
    examples of the SDK give some.
    """

    def __init__(self, predictions: Sequence[Any] = (), model_version: Any = None, **_unknown: Any) -> None:
        self.model_version = None if model_version is None else str(model_version)
        self.predictions = list(predictions or ())

    def has_model_version(self) -> bool:
        """Whether a version was given."""
        return bool(self.model_version)

    def set_version(self, version: Any) -> None:
        """Give this version to the answer and to each prediction."""
        self.model_version = str(version)
        self._mark(always=True)

    def update_predictions_version(self) -> None:
        """Give the version to each prediction that has none."""
        self._mark(always=False)

    def model_dump(self) -> dict[str, Any]:
        """All of it as plain dictionaries."""
        return {'model_version': self.model_version, 'predictions': [_plain(item) for item in self.predictions]}

    serialize = model_dump

    def _mark(self, always: bool) -> None:
        for item in self.predictions:
            for one in item if isinstance(item, list) else [item]:
                if isinstance(one, dict):
                    if always or not one.get('model_version'):
                        one['model_version'] = self.model_version
                elif always or not getattr(one, 'model_version', None):
                    one.model_version = self.model_version


def _plain(item: Any) -> Any:
    if isinstance(item, list):
        return [_plain(one) for one in item]
    return item.model_dump() if hasattr(item, 'model_dump') else item
