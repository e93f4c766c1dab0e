"""Say in a sentence why a training failed, and whether that is the plugin's own doing."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from rq.timeouts import JobTimeoutException

from label_studio.ml_host.training.limits import timeout_sentence
from ml_plugins.exceptions import MLPluginError
from ml_plugins.failures import describe

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Libraries written in C or Rust report a full disk in their own words; with less than this left it is one.
_NOTHING_LEFT = 64 * 1024


@dataclass(frozen=True)
class Reason:
    """Why a run failed.

    Attributes:
        sentence: For the person at the page.
        is_defect: The plugin raised something it should not; recorded with its traceback.
    """

    sentence: str
    is_defect: bool = False


def reason_of(error: BaseException) -> Reason:
    """The reason for what ``fit`` or publishing raised; ask before the work directory is removed."""
    if _disk_is_full(error):
        return Reason(
            f'The disk is full: nothing can be written to {settings.ML_DATA_DIR}. Free some space and train again.'
        )
    if isinstance(error, MLPluginError):
        return Reason(str(error))
    if isinstance(error, JobTimeoutException):
        return Reason(timeout_sentence(settings.ML_TRAINING_TIMEOUT))
    if isinstance(error, MemoryError):
        return Reason('The machine has too little memory for this training.', is_defect=True)
    if type(error).__name__ == 'OutOfMemoryError':
        share = settings.ML_TRAINING_GPU_SHARE
        allowed = f' (ML_TRAINING_GPU_SHARE allows {share:.0%} of it)' if share < 1 else ''
        return Reason(f'The GPU has too little memory{allowed} for this training: {describe(error)}', is_defect=True)
    return Reason(describe(error), is_defect=True)


def _disk_is_full(error: BaseException) -> bool:
    for link in _chain(error):
        if getattr(link, 'errno', None) in _FULL or 'No space left on device' in str(link):
            return True
    return any(
        folder.exists() and shutil.disk_usage(folder).free < _NOTHING_LEFT
        for folder in (settings.ML_WORK_DIR, settings.ML_VERSION_DIR, settings.ML_CACHE_DIR)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
