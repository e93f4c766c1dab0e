"""Request fields whose errors say what was sent."""

from __future__ import annotations

from reprlib import repr as short
from typing import Any

from rest_framework import serializers


class _NamesValue:
    """Puts the refused value into the message; the field's name stands in the response already."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        try:
            return super().run_validation(data)
        except serializers.ValidationError as error:
            if data is serializers.empty or not isinstance(error.detail, list):
                raise
            raise serializers.ValidationError([f'{short(data)}: {text}' for text in error.detail]) from error


class Flag(_NamesValue, serializers.BooleanField):
    """True or false."""


class Number(_NamesValue, serializers.IntegerField):
    """A whole number."""


class StrictSerializer(serializers.Serializer):
    """Refuses fields that it does not know: a misspelt one would be passed over silently."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Values by field."""
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            text = f'There is no such field; the fields are {", ".join(self.fields)}.'
            raise serializers.ValidationError({str(name): [text] for name in unknown})
        return super().to_internal_value(data)
