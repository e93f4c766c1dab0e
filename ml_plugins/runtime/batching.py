"""Compute one batch so that a task that breaks it breaks only itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ml_plugins.exceptions import BackendCrashError
from ml_plugins.runtime.memory import free, is_out_of_memory
from ml_plugins.runtime.waiting import Answer
from ml_plugins.types import Interaction, Task

# One call of predict: it returns an item a task, or raises.
Call = Callable[[Sequence[Task], Interaction | None], list[Answer | Exception]]


class GivenUpError(Exception):
    """The watchdog took the batch away from its thread; nobody waits for it any more."""


@dataclass
class Outcome:
    """What came of a batch.

    Attributes:
        answers: One item a task; an exception where ``predict`` failed on it, alone or with all the others.
        error: The first exception, or None; a batch that was mended by splitting it has one too.
        crash: Set when the backend's process died; nothing more was tried then.
        fitting: Tasks in a batch that fits into memory, or None when memory sufficed.
    """

    answers: list[Answer | Exception] = field(default_factory=list)
    error: Exception | None = None
    crash: BackendCrashError | None = None
    fitting: int | None = None

    @property
    def failed(self) -> bool:
        """Whether at least one task has no answer."""
        return self.error is not None and any(isinstance(answer, Exception) for answer in self.answers)


def compute(call: Call, tasks: Sequence[Task], interaction: Interaction | None, patience: float) -> Outcome:
    """Predict a batch; one that raises or returns a wrong number of answers is halved until the culprit is alone.

    Args:
        patience: Seconds after which splitting ends as long as nothing has succeeded: that model is broken.

    Raises:
        GivenUpError: Handed on from `call`.
    """
    return _Splitting(call, interaction, time.monotonic() + patience).run(tasks)


class _Splitting:
    def __init__(self, call: Call, interaction: Interaction | None, until: float) -> None:
        self._call = call
        self._interaction = interaction
        self._until = until
        # Tasks in the largest part that was computed, and how often a size did not fit into memory.
        self._succeeded = 0
        self._too_big: Counter[int] = Counter()
        self._outcome = Outcome()

    def run(self, tasks: Sequence[Task]) -> Outcome:
        self._outcome.answers = self._answers(tasks)
        if self._too_big and len(tasks) > 1:
            self._outcome.fitting = self._succeeded or max(1, len(tasks) // 2)
        return self._outcome

    def _answers(self, tasks: Sequence[Task]) -> list[Answer | Exception]:
        if self._outcome.crash is not None:
            return [self._outcome.crash] * len(tasks)
        if self._too_big[len(tasks)] > 1 and len(tasks) > 1:
            return self._halves(tasks)
        try:
            answers = self._call(tasks, self._interaction)
        except GivenUpError:
            raise
        except BaseException as raised:
            error = raised if isinstance(raised, Exception) else RuntimeError(repr(raised))
        else:
            self._succeeded = max(self._succeeded, len(tasks))
            return answers
        return self._failed(tasks, error)

    def _failed(self, tasks: Sequence[Task], error: Exception) -> list[Answer | Exception]:
        if isinstance(error, BackendCrashError):
            self._outcome.crash = error
        elif is_out_of_memory(error):
            free(error)
            self._too_big[len(tasks)] += 1
            if len(tasks) > 1:
                # Not a failure yet: the same tasks in smaller batches may do.
                return self._halves(tasks)
        self._outcome.error = self._outcome.error or error
        is_hopeless = not self._succeeded and time.monotonic() > self._until
        if len(tasks) == 1 or is_hopeless or self._outcome.crash is not None:
            return [error] * len(tasks)
        return self._halves(tasks)

    def _halves(self, tasks: Sequence[Task]) -> list[Answer | Exception]:
        middle = (len(tasks) + 1) // 2
        return self._answers(tasks[:middle]) + self._answers(tasks[middle:])
