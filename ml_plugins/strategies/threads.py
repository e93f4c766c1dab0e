"""Keep matrix products and scikit-learn's loops on the calling thread.

With other work on the machine the threads of these libraries wait for one another actively: clustering 100,000 rows
beside a busy server takes seven times as long on two threads as on one, and slows the server down as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

FEW = 2000
_limiting = threading.RLock()


@contextmanager
def one_thread(rows: int) -> Iterator[None]:
    """Compute on one thread. Libraries that are loaded inside need a call of their own, after that.

    Args:
        rows: Rows that are computed on; with few, a limit takes longer than it saves, and there is none.
    """
    if rows < FEW:
        yield
        return
    from threadpoolctl import threadpool_limits

    # OpenMP's limit is the calling thread's, BLAS's is the process's: of several threads the first one sets it and
    # takes it back, so that they cannot take the limit of one another for what was there before.
    first = _limiting.acquire(blocking=False)
    try:
        with threadpool_limits(1, None if first else 'openmp'):
            yield
    finally:
        if first:
            _limiting.release()


@contextmanager
def quiet_threads() -> Iterator[None]:
    """Compute on one thread for a longer while, however few the rows are: many small fits spin the most."""
    # A limit holds for libraries that are loaded.
    import sklearn.cluster
    import sklearn.linear_model  # noqa: F401

    with one_thread(FEW):
        yield
