"""The process that computes scores: strategies may take any time and memory, and do not share the server's interpreter.

One order a line comes in, one answer a line goes out; `scorer.py` is at the other end.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from importlib import import_module
from typing import IO, Any

NICENESS = 10
# On a busy machine the threads of these libraries wait for one another actively: one is quicker, and leaves room.
_THREADS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
_MOST_TRACEBACK = 8000
_ROOM = 'label_studio.ml_host.sampling'


def run(parent: int) -> None:
    """The life of the process.

    Args:
        parent: The server's process id; this one ends with it.
    """
    for name in _THREADS:
        os.environ.setdefault(name, '1')
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    from ml_plugins.runtime.fence.bounds import die_with

    die_with(parent)
    orders, answers = sys.stdin, os.fdopen(os.dup(1), 'w', encoding='utf-8')
    # What a strategy prints must not be taken for an answer.
    os.dup2(2, 1)
    _warm_up()
    _tell(answers, {'ready': True})
    for line in orders:
        _tell(answers, _answer(json.loads(line)))


def _warm_up() -> None:
    """Import what nearly every order needs while nobody waits for it."""
    from label_studio.ml_host.sampling import computing  # noqa: F401


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    module, _, function = asked['call'].partition(':')
    try:
        return {'computed': getattr(import_module(f'{_ROOM}.{module}'), function)(asked['given'])}
    except BaseException as error:  # also what a strategy calls exit with
        return {'error': f'{type(error).__name__}: {error}', 'traceback': traceback.format_exc()[-_MOST_TRACEBACK:]}


def _tell(answers: IO[str], content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + '\n')
    answers.flush()
