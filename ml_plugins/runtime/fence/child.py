"""The process of one fenced backend; `process.py` starts it."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from dataclasses import replace
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.label_config import parse_label_config
from ml_plugins.notices import heard_by
from ml_plugins.registry import registry
from ml_plugins.runtime.fence.answers import plain
from ml_plugins.runtime.fence.bounds import die_with, limit_memory
from ml_plugins.runtime.fence.link import FilesOfServer, Link
from ml_plugins.runtime.fence.messages import OUT_OF_MEMORY_EXIT, Answers, Close, Notice, Predict, Ready, Setup, failed
from ml_plugins.runtime.memory import free, is_out_of_memory, resident_bytes


def run(arguments: list[str]) -> None:
    """The life of the process.

    Args:
        arguments: The program, the numbers of the pipe's and the trace file's descriptors, the server's process id.
    """
    pipe, trace_file, parent = map(int, arguments[1:4])
    die_with(parent)
    faulthandler.enable(trace_file, all_threads=False)
    link = Link(Connection(pipe))
    with heard_by(lambda text: link.send(Notice(text))):
        status = _main(link)
    _end(status)


def _main(link: Link) -> int:
    setup = link.next()
    try:
        backend = _load(setup)
        link.send(Ready(backend.max_batch, backend.max_delay, _memory(backend)))
    except BaseException as error:
        _report(link, error, setup.memory)
        return 1
    while not isinstance(job := link.next(), Close):
        try:
            if isinstance(job, Exception):
                raise job
            link.send(Answers(_predict(backend, job, link)))
        except BaseException as error:
            _report(link, error, setup.memory)
            if is_out_of_memory(error):
                free(error)
    backend.close()
    return 0


def _load(setup: Setup) -> MLBackend:
    module, _, function = setup.bootstrap.partition(':')
    getattr(import_module(module), function)()
    if setup.memory:
        limit_memory(setup.memory)
    context = BackendContext(
        label_config=parse_label_config(setup.label_config),
        params=setup.params,
        version=setup.version,
        device=setup.device,
        project_id=setup.project_id,
        cache_directory=setup.cache_directory,
    )
    backend = registry.get(setup.plugin).backend_class()(context)
    backend.setup()
    return backend


def _predict(backend: MLBackend, job: Predict, link: Link) -> list[Any]:
    tasks = [
        replace(task, files=FilesOfServer(link, job.batch, index) if has_files else None)
        for index, (task, has_files) in enumerate(zip(job.tasks, job.has_files, strict=True))
    ]
    return [plain(answer) for answer in backend.predict(tasks, job.interaction) or []]


def _report(link: Link, error: BaseException, limit: int) -> None:
    try:
        failure = failed(error)
        if limit and isinstance(error, MemoryError):
            note = f'its process may take {limit / 2**20:.0f} MiB more than without the model (fence_memory)'
            failure = replace(failure, message=f'{failure.message}; {note}' if failure.message else note)
        link.send(failure)
    except MemoryError:
        os._exit(OUT_OF_MEMORY_EXIT)


def _memory(backend: MLBackend) -> int:
    """Bytes that the model takes: what it says itself, else those of this whole process."""
    told = backend.memory_bytes()
    return resident_bytes() if told is None else told


def _end(status: int) -> None:
    """End without waiting for threads that a plugin may have left running."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
