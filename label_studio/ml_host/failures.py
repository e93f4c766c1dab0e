"""Keep failures of plugins at work in the database, so that every process's page shows them."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, close_old_connections

from label_studio.ml_host.models import FailureRecord
from ml_plugins.failures import LOAD_STAGES, REMARKS, PluginFailure, failure_log

logger = logging.getLogger(__name__)

KEPT = 200
_writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix='failure-record')


def keep_failures() -> None:
    """Listen to the failures of this process; called once, when our app is ready."""
    failure_log.listen(keep)


def keep(failure: PluginFailure) -> None:
    """Store a failure from a thread of its own: the caller may be in a transaction that is rolled back."""
    if failure.stage in LOAD_STAGES:
        return  # every process meets these again when it starts
    _writer.submit(_store, failure)


def _is_said(failure: PluginFailure) -> bool:
    """Whether a refused prediction is on record already; an older remark of the same words is taken away."""
    same = FailureRecord.objects.filter(
        plugin=failure.plugin, project_id=failure.project_id, error__iendswith=failure.error
    )
    if same.exclude(stage__in=[stage.value for stage in REMARKS]).exists():
        return True
    same.delete()
    return False


def _store(failure: PluginFailure) -> None:
    try:
        close_old_connections()
        if failure.stage in REMARKS and _is_said(failure):
            return
        record = FailureRecord.objects.create(
            plugin=failure.plugin,
            stage=failure.stage.value,
            error=failure.error,
            traceback=failure.traceback,
            project_id=failure.project_id,
        )
        FailureRecord.objects.filter(plugin=failure.plugin, pk__lte=record.pk - KEPT).delete()
    except DatabaseError as error:
        logger.warning('A failure of %s could not be stored: %s', failure.plugin, error)
    finally:
        close_old_connections()
