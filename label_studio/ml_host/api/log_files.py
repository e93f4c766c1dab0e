"""Read the end of a log file without reading all of it."""

from __future__ import annotations

from pathlib import Path

# Enough for hundreds of long lines; a log may be gigabytes.
_MOST_BYTES = 256 * 1024


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file; an empty string when there is no such file."""
    try:
        with path.open('rb') as file:
            size = file.seek(0, 2)
            start = max(0, size - _MOST_BYTES)
            file.seek(start)
            found = file.read(_MOST_BYTES).decode('utf-8', errors='replace').splitlines()
    except OSError:
        return ''
    if start and len(found) > 1:
        found = found[1:]  # the first one is cut in the middle
    return '\n'.join(found[-lines:]) if lines > 0 else ''
