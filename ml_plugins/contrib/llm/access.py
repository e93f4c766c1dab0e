"""Where the language model is and the key for it: both the server's, so that no project can send the key elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

KEY_VARIABLE, ENDPOINT_VARIABLE = 'ML_LLM_API_KEY', 'ML_LLM_ENDPOINT'
_DEFAULT_ENDPOINT = 'https://api.openai.com/v1'


@dataclass(frozen=True)
class Access:
    """An endpoint and its key, which is never shown."""

    endpoint: str
    key: str = field(repr=False)


def is_set_up() -> bool:
    """Whether there is a key."""
    return bool(os.environ.get(KEY_VARIABLE, '').strip())


def access() -> Access:
    """What the environment says."""
    endpoint = os.environ.get(ENDPOINT_VARIABLE, '').strip() or _DEFAULT_ENDPOINT
    return Access(endpoint.rstrip('/'), os.environ.get(KEY_VARIABLE, '').strip())
