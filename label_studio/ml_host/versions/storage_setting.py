"""Where versions are stored, as the environment says it; read by the settings module, so nothing of Django is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Alias in STORAGES of a storage that is there for versions alone.
OWN = 'ml_versions'


def version_storage(where: str, options: str, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read ``ML_VERSION_STORAGE`` and ``ML_VERSION_STORAGE_OPTIONS``.

    Args:
        where: Empty for the local disk, an alias in STORAGES, or the dotted name of a storage class.
        options: Arguments of that class, a JSON object; empty for none.
        known: STORAGES so far.

    Returns:
        The alias that is used, empty for the local disk, and what is to be added to STORAGES.

    Raises:
        ValueError: Names the variable, its value and what is allowed.
    """
    if '.' in where:
        return OWN, {OWN: {'BACKEND': where, 'OPTIONS': _options(options)}}
    if where and where not in known:
        allowed = (
            'empty, "default" for the storage of uploads, or a class such as "storages.backends.s3boto3.S3Boto3Storage"'
        )
        raise ValueError(f'ML_VERSION_STORAGE={where!r}: must be {allowed}')
    if options:
        raise ValueError(
            'ML_VERSION_STORAGE_OPTIONS is for a storage class: set ML_VERSION_STORAGE to its dotted name, or leave '
            'the options out'
        )
    return where, {}


def _options(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or '{}')
    except ValueError as error:
        raise ValueError(f'ML_VERSION_STORAGE_OPTIONS={text!r} is not JSON: {error}') from error
    if not isinstance(found, dict):
        raise ValueError(
            f'ML_VERSION_STORAGE_OPTIONS={text!r}: must be a JSON object, e.g. {{"bucket_name": "models"}}'
        )
    return found
