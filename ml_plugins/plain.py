"""What any database can hold: JSON without NaN, text without NUL and without halves of characters."""

from __future__ import annotations

import json
import re
from typing import Any

# PostgreSQL stores U+0000 neither in text nor in JSON. In JSON it is an escape whose backslash is not escaped itself.
_NUL_ESCAPE = re.compile(r'(?<!\\)(?:\\\\)*\\u0000')


def why_not_json(value: Any) -> str:
    """Why a value cannot be stored as JSON; an empty string when it can."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as error:
        return f'{error.object[error.start : error.end]!r} is no character'
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return 'text must not hold the NUL character' if _NUL_ESCAPE.search(text) else ''


def storable_text(text: str) -> str:
    """The text with NUL and halves of characters (a file name that is not UTF-8 brings them) written as escapes."""
    return text.encode(errors='backslashreplace').decode().replace('\x00', r'\x00')
