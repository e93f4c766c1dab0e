"""Write a run's answers: predictions, failures, counters and the shard's cursor in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from label_studio.ml_host.models import PrelabelFailure, PrelabelShard
from label_studio.ml_host.prelabeling.courtesy import give_way_before_writing
from label_studio.ml_host.prelabeling.lease import Lease
from label_studio.ml_host.prelabeling.store import Rows, Source, as_rows, write
from label_studio.ml_host.sampling import feeding
from ml_plugins.plain import storable_text
from ml_plugins.types import Prediction

logger = logging.getLogger(__name__)

Result = TypeVar('Result')
# Pauses between tries of a transaction, in seconds. SQLite has waited for its lock for half a minute by then.
PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0)
LONGEST_REASON = 2000


class LeaseLostError(Exception):
    """Somebody else works on the shard now; what was about to be written is theirs to write."""


@dataclass
class Answers:
    """What is known and not written yet.

    Attributes:
        predictions: By task.
        failures: Reasons by task.
        done: Tasks that the model dealt with, whether or not it had something to say.
        skipped: Tasks left out.
        cursor: With this written, everything up to here is dealt with.
        at_end: Nothing of the shard is left then.
    """

    cursor: int
    predictions: list[tuple[int, Prediction]] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    done: int = 0
    skipped: int = 0
    at_end: bool = False

    @property
    def size(self) -> int:
        """Tasks."""
        return self.done + self.skipped + len(self.failures)


class ShardWriter:
    """Writes under a lease; a write that is repeated after a lost connection counts once.

    Args:
        replaces: Predictions take the place of those that other versions made.
        is_silent: Nothing is stored as a prediction; answers are only kept for active learning.
    """

    def __init__(
        self,
        lease: Lease,
        shard: PrelabelShard,
        source: Source,
        user: Any,
        replaces: bool = False,
        is_silent: bool = False,
    ) -> None:
        self._replaces = replaces
        self._is_silent = is_silent
        self._lease = lease
        self._source = source
        self._user = user
        self.cursor = shard.cursor

    def write(self, answers: Answers) -> None:
        """Write all or nothing.

        Raises:
            LeaseLostError: Somebody else has taken the shard.
            DatabaseError: The database does not work, after several tries.
        """
        rows = as_rows(() if self._is_silent else answers.predictions)
        # First: a task that the cursor has passed is not predicted again.
        feeding.keep(self._source.project_id, self._source.label, answers.predictions)
        give_way_before_writing()
        patiently(lambda: self._write(answers, rows), self._lease.stop.wait)
        self.cursor = answers.cursor

    def _write(self, answers: Answers, rows: Rows) -> None:
        with transaction.atomic():
            # First, so that two owners never both go on; where rows are locked, this one comes before the tasks.
            if not self._advance(answers):
                if self._is_written(answers):
                    return
                raise LeaseLostError(f'shard {self._lease.shard_id} was taken over')
            write(self._source, rows, timezone.now(), self._user, self._replaces)
            if answers.failures:
                PrelabelFailure.objects.bulk_create(
                    PrelabelFailure(
                        run_id=self._lease.run_id, task_id=task_id, reason=storable_text(reason)[:LONGEST_REASON]
                    )
                    for task_id, reason in answers.failures
                )

    def _advance(self, answers: Answers) -> int:
        mine = PrelabelShard.objects.filter(
            pk=self._lease.shard_id, owner=self._lease.owner, cursor=self.cursor, ended=False
        )
        return mine.update(
            cursor=answers.cursor,
            done=F('done') + answers.done,
            skipped=F('skipped') + answers.skipped,
            failed=F('failed') + len(answers.failures),
            ended=answers.at_end,
            heartbeat_at=timezone.now(),
        )

    def _is_written(self, answers: Answers) -> bool:
        # The connection was lost after the commit: only we write under this lease.
        return PrelabelShard.objects.filter(
            pk=self._lease.shard_id, owner=self._lease.owner, cursor=answers.cursor, ended=answers.at_end
        ).exists() and (answers.cursor != self.cursor or answers.at_end)


def patiently(action: Callable[[], Result], wait: Callable[[float], Any]) -> Result:
    """Repeat what fails because the database is locked, away, or chose us to break a deadlock."""
    for pause in PAUSES:
        try:
            return action()
        except (OperationalError, InterfaceError) as error:
            logger.warning('The database does not answer, again in %g s: %s', pause, error)
            if not connection.in_atomic_block:
                connection.close()
            wait(pause)
    return action()
