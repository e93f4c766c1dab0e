"""Where the answers of versions are kept, and which of them are not needed any more."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from django.conf import settings

from label_studio.ml_host.sampling.store import AnswerStore

_PLAIN = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,119}')


def store_of(project_id: int, label: str) -> AnswerStore:
    """The store of a version.

    Args:
        label: Its name in predictions.
    """
    return AnswerStore(home(project_id) / _folder(label))


def home(project_id: int) -> Path:
    """The folder of a project's stores."""
    return Path(settings.ML_ANSWER_DIR) / str(project_id)


def keep_only(project_id: int, labels: Collection[str]) -> None:
    """Remove a project's stores but those of some versions; who reads one of them just now reads on."""
    wanted = {_folder(label) for label in labels}
    for folder in _folders(home(project_id)):
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)


def remove(project_id: int, label: str | None = None) -> None:
    """Remove the store of a version, or all of a project."""
    folder = home(project_id) if label is None else home(project_id) / _folder(label)
    shutil.rmtree(folder, ignore_errors=True)


def stores(project_id: int) -> list[AnswerStore]:
    """The stores of a project."""
    return [AnswerStore(folder) for folder in _folders(home(project_id))]


def projects() -> set[int]:
    """Projects that there are stores of."""
    return {int(folder.name) for folder in _folders(Path(settings.ML_ANSWER_DIR)) if folder.name.isdigit()}


def _folders(parent: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in parent.iterdir() if path.is_dir()]
    return []


def _folder(label: str) -> str:
    # Names of plugins are names of entry points, which may hold anything.
    return label if _PLAIN.fullmatch(label) else hashlib.sha256(label.encode()).hexdigest()[:40]
