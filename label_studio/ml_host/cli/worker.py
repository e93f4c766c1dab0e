"""``label-studio worker``: take training, pre-labeling and analyses from the queue, on this machine or another one."""

from __future__ import annotations

import argparse
import os
import signal

from label_studio.ml_host import bootstrap
from label_studio.ml_host.launcher.data_dir import DataDirError, redis_dir, use_data_dir
from label_studio.ml_host.launcher.lifetime import die_with_parent
from label_studio.ml_host.queues import SOCKET_VARIABLE, redis_is_configured

NO_QUEUE = (
    'There is no queue to work on: set REDIS_URL to the Redis that the server uses, '
    'or start the server on this machine with "label-studio start" and the same --data-dir.'
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='label-studio worker', description='Run a worker: training, pre-labeling.')
    parser.add_argument('--queues', nargs='+', metavar='NAME', help='queues to work on, the most urgent first')
    parser.add_argument('--burst', action='store_true', help='end when the queues are empty')
    parser.add_argument('--data-dir', dest='data_dir', help='data directory of the server')
    parser.add_argument('--supervised', type=int, metavar='PID', help=argparse.SUPPRESS)
    return parser


def main(argv: list[str]) -> int:
    """Work until stopped."""
    options = _parser().parse_args(argv)
    if options.supervised is not None:
        die_with_parent(signal.SIGKILL, options.supervised)
    client = _find_queue(options.data_dir)
    try:
        bootstrap.setup()
        from label_studio.ml_host.training.worker import run_worker

        run_worker(options.queues or _default_queues(), burst=options.burst)
    finally:
        if client is not None:
            client.stop()
    return 0


def _default_queues() -> list[str]:
    """Every queue of a configured Redis; the private one carries only ours; see the settings."""
    from django.conf import settings

    own = [settings.ML_TRAIN_QUEUE, settings.ML_PREDICT_QUEUE, settings.ML_ANALYSIS_QUEUE]
    return list(settings.RQ_QUEUES) if redis_is_configured(os.environ) else own


def _find_queue(given: str | None):
    """Name the queue's Redis for the settings; returns what to release at the end, if anything."""
    try:
        directory = use_data_dir(given)
    except DataDirError as error:
        raise SystemExit(str(error)) from error
    from label_studio.ml_host.launcher.redis import answers, attach

    known = os.environ.get(SOCKET_VARIABLE)
    if redis_is_configured(os.environ) or (known and answers(known)):
        return None
    running = attach(redis_dir(directory))
    if running is None:
        raise SystemExit(NO_QUEUE)
    os.environ[SOCKET_VARIABLE] = running.socket
    return running
