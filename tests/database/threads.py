"""Threads that meet in the database."""

import threading
from collections.abc import Callable

from django.db import connection

THREADS = 6


def at_once(work: Callable[[], object]) -> list[BaseException]:
    """Run a function in six threads that start together; returns what was raised."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def run() -> None:
        try:
            # Connected before the start, so that the threads meet in the database and not on the way to it.
            connection.ensure_connection()
            barrier.wait()
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised
