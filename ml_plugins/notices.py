"""What a model has to tell people that is no failure: the page shows it beside the backend."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar

logger = logging.getLogger(__name__)

_hearer: ContextVar[Callable[[str], None] | None] = ContextVar('hearer', default=None)


def notice(text: str) -> None:
    """Tell people something about the model, from ``setup`` or ``predict``, e.g. which of its labels are left out.

    It is shown on the ML backends page and stands in the log; the same text is shown once. Outside of a server, and in
    threads that the backend started, it is only logged.

    Args:
        text: A sentence, with what to do where there is something.
    """
    hearer = _hearer.get()
    if hearer is None:
        logger.warning('%s', text)
    else:
        hearer(text)


@contextlib.contextmanager
def heard_by(hearer: Callable[[str], None]) -> Iterator[None]:
    """Have what is said in this thread handed to somebody."""
    token = _hearer.set(hearer)
    try:
        yield
    finally:
        _hearer.reset(token)
