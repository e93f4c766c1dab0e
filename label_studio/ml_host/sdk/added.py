"""Folders with a backend for the ML backend SDK that `label-studio plugins add` made known; no Django here."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path

from label_studio.ml_host.launcher.data_dir import data_dir
from ml_plugins.discovery import Candidate, find_candidates

logger = logging.getLogger(__name__)


def added_file() -> Path:
    """Where they are listed."""
    return data_dir() / 'ml' / 'added-backends.json'


def added() -> list[Candidate]:
    """The folders that were added, by name; none where the list is damaged, which is logged."""
    try:
        listed = json.loads(added_file().read_text(encoding='utf-8'))
        return [Candidate(name, item['class'], folder=item['folder']) for name, item in sorted(listed.items())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.error('%s cannot be read, so none of the added backends is there: %s', added_file(), error)
        return []


def add(name: str, folder: Path, class_name: str) -> None:
    """Add one, or put another folder in the place of one of that name."""
    _write([*(item for item in added() if item.name != name), Candidate(name, class_name, folder=str(folder))])


def remove(name: str) -> bool:
    """Forget one; the folder itself stays. False when there is none of that name."""
    before = added()
    _write([item for item in before if item.name != name])
    return len(added()) < len(before)


def all_candidates(exclude: Collection[str] = ()) -> list[Candidate]:
    """Installed packages and added folders by name; a package wins over a folder of the same name."""
    found = [*find_candidates(exclude), *(item for item in added() if item.name not in exclude)]
    return sorted(found, key=lambda item: (item.name, bool(item.folder), item.target))


def _write(candidates: list[Candidate]) -> None:
    path = added_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {item.name: {'folder': item.folder, 'class': item.target} for item in candidates}
    # Written beside it first, so that a server that starts meanwhile reads the old one or the new one.
    unfinished = path.with_suffix('.part')
    unfinished.write_text(json.dumps(content, indent=1, sort_keys=True), encoding='utf-8')
    unfinished.replace(path)
