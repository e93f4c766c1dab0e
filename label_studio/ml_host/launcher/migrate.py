"""Bring the database up to date, showing how far it is; a plugin's broken migration stops only that plugin."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from typing import TextIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from label_studio.ml_host.launcher.migrate_lock import alone
from ml_plugins.failures import Stage, guarded
from ml_plugins.registry import Plugin, registry

logger = logging.getLogger(__name__)

BAR_WIDTH = 16


class Progress:
    """One line that is drawn over on a terminal; elsewhere a line for each tenth."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = max(total, 1)
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._done = 0
        self._tenth = -1

    def show(self, name: str) -> None:
        """Say what is being applied."""
        percent = min(100, 100 * self._done // self._total)
        counted = f'{percent:3d} %  {self._done}/{self._total}'
        if self._is_terminal:
            bar = ('#' * (BAR_WIDTH * percent // 100)).ljust(BAR_WIDTH)
            # A line that wraps could not be drawn over.
            line = f'Preparing the database {counted} [{bar}] {name}'[: _columns() - 1]
            self._write(f'\r\033[K{line}')
        elif percent // 10 > self._tenth:
            self._tenth = percent // 10
            self._write(f'Preparing the database {counted}  {name}\n')

    def step(self, name: str) -> None:
        """Count one more as done."""
        self._done = min(self._total, self._done + 1)
        self.show(name)

    def finish(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            self._write('\r\033[KThe database is ready.\n')

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _columns() -> int:
    """Width of the terminal; also when standard output is not one."""
    with contextlib.suppress(OSError, ValueError):
        return shutil.get_terminal_size(os.get_terminal_size(sys.stderr.fileno())).columns
    return shutil.get_terminal_size().columns


class _Prints(io.TextIOBase):
    """Logs what is printed: upstream's migrations talk, and would spoil the line that is drawn over."""

    def __init__(self) -> None:
        self._begun = ''

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split('\n')
        for line in lines:
            logger.info('%s', line)
        return len(text)


class _Migrate(MigrateCommand):
    """Django's own command with its progress handed on."""

    progress: Progress

    def migration_progress_callback(self, action, migration=None, fake=False):
        """Called by Django around each migration."""
        if action == 'apply_start':
            self.progress.show(str(migration))
        elif action == 'apply_success':
            self.progress.step(str(migration))


def pending(database: str = DEFAULT_DB_ALIAS) -> int:
    """Number of migrations that are not applied yet."""
    connection = connections[database]
    connection.prepare_database()
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate(stream: TextIO | None = None) -> None:
    """Apply what is missing: everything of the server first, then each plugin by itself."""
    plugins = {label: plugin for plugin in registry.all() if (label := _label(plugin))}
    try:
        if not pending():
            return
    except Exception:
        if not plugins:
            raise
        # Some plugin's migrations cannot even be read; which one shows below.
        logger.debug('The migrations cannot be read together', exc_info=True)
    with alone():
        with _without(plugins):
            count = pending()
            if count:
                _apply(Progress(count, stream))
        _migrate_plugins(plugins, stream)


def _migrate_plugins(plugins: dict[str, Plugin], stream: TextIO | None) -> None:
    left_out = set(plugins)
    for label, plugin in plugins.items():
        with guarded(plugin.name, Stage.MIGRATE), _without(left_out - {label}):
            count = pending()
            if count:
                _apply(Progress(count, stream))
            # A later plugin may depend on this one.
            left_out.discard(label)


def _apply(progress: Progress) -> None:
    command = _Migrate()
    command.progress = progress
    with contextlib.redirect_stdout(_Prints()):
        call_command(command, verbosity=0, interactive=False, no_color=True)
    progress.finish()


def _label(plugin: Plugin) -> str:
    try:
        return plugin.config.label
    except Exception:
        # It did not load, so Django does not know it.
        return ''


@contextlib.contextmanager
def _without(labels: Collection[str]) -> Iterator[None]:
    """Hide the migrations of some apps from Django for a while."""
    before = settings.MIGRATION_MODULES
    settings.MIGRATION_MODULES = {**before, **dict.fromkeys(labels)}
    try:
        yield
    finally:
        settings.MIGRATION_MODULES = before
