"""A real PostgreSQL server for tests: a folder of its own under /tmp, ended with the process that started it."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
from django.db import connections
from psycopg import sql

from label_studio.ml_host.launcher.lifetime import die_with_parent
from tests.e2e.server import free_port

USER, PASSWORD = 'labels', 'everything'
TEMPLATE = 'migrated'
START_SECONDS = 30
# Tests lose nothing by a power cut; a test that waits for a lock fails instead of hanging.
OPTIONS = {
    'listen_addresses': '127.0.0.1',
    'unix_socket_directories': '',
    'fsync': 'off',
    'synchronous_commit': 'off',
    'full_page_writes': 'off',
    'lock_timeout': '60s',
}


class PostgreSQLMissingError(Exception):
    """There are no server programs on this machine."""


def find_programs() -> Path:
    """Folder of `initdb` and `postgres`: the newest of Debian's places, else what is on PATH.

    Upstream needs the extensions pg_trgm and btree_gin. Servers inside pip packages come without them.
    """
    folders = sorted(Path('/usr/lib/postgresql').glob('*/bin'), key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which('postgres'):
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if os.access(folder / 'postgres', os.X_OK) and os.access(folder / 'initdb', os.X_OK):
            return folder
    raise PostgreSQLMissingError('PostgreSQL is not installed (Debian package postgresql)')


class PostgreSQL:
    """One server and its databases.

    Args:
        kept: A stopped server's data to start from; a new one without.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self.programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix='label-studio-postgresql-'))
        self.data = self.folder / 'data'
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        # PostgreSQL refuses to run as root.
        nobody = pwd.getpwnam('nobody')
        self._account = {'user': nobody.pw_uid, 'group': nobody.pw_gid, 'extra_groups': []} if _is_root() else {}
        try:
            if kept is not None:
                shutil.copytree(kept, self.data)
            self._own(self.folder)
            if kept is None:
                self._initialise()
            self._start()
        except BaseException:
            self.stop()
            raise

    def environment(self, database: str) -> dict[str, str]:
        """What upstream reads to use a database of this server."""
        return {
            'DJANGO_DB': 'default',
            'POSTGRE_HOST': '127.0.0.1',
            'POSTGRE_PORT': str(self.port),
            'POSTGRE_USER': USER,
            'POSTGRE_PASSWORD': PASSWORD,
            'POSTGRE_NAME': database,
        }

    def create(self, database: str = '', template: str = TEMPLATE) -> str:
        """Make a database as a copy of another one; returns its name."""
        database = database or f'data_{uuid.uuid4().hex[:12]}'
        with self.connect() as connection:
            command = sql.SQL('CREATE DATABASE {} TEMPLATE {}')
            connection.execute(command.format(sql.Identifier(database), sql.Identifier(template)))
        return database

    def connect(self, database: str = 'postgres') -> psycopg.Connection:
        """A connection in autocommit mode."""
        return psycopg.connect(
            host='127.0.0.1', port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        )

    def keep(self, place: Path) -> None:
        """Stop, and move the data to a folder that may be started from later."""
        self._end()
        place.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have been quicker; then its data is as good.
        if not place.exists():
            copy = Path(shutil.copytree(self.data, place.with_name(f'.{place.name}-{uuid.uuid4().hex[:8]}')))
            copy.rename(place)

    def stop(self) -> None:
        """End the server and remove everything."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """End every connection and come back at the same address."""
        connections.close_all()
        self._end()
        self._start()

    def _initialise(self) -> None:
        secret = self.folder / 'password'
        secret.write_text(PASSWORD)
        self._own(secret)
        options = ['--auth=scram-sha-256', f'--pwfile={secret}', '--encoding=UTF8', '--no-locale', '--no-sync']
        command = [self.programs / 'initdb', '-D', self.data, '-U', USER, '--wal-segsize=4', *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, env=_plain(), **self._account)

    def _start(self) -> None:
        words = [f'{name}={value}' for name, value in {**OPTIONS, 'port': str(self.port)}.items()]
        command = [self.programs / 'postgres', '-D', self.data, *(part for word in words for part in ('-c', word))]
        parent = os.getpid()
        with (self.folder / 'log').open('ab') as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_plain(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Also when the tests are killed: on Linux the wish outlives the change of program.
                preexec_fn=(lambda: die_with_parent(signal.SIGINT, parent)) if sys.platform == 'linux' else None,
                **self._account,
            )
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    said = (self.folder / 'log').read_text(errors='replace')[-2000:]
                    raise RuntimeError(f'PostgreSQL did not start ({error}). Its log:\n{said}') from error
                time.sleep(0.05)

    def _end(self, how: signal.Signals = signal.SIGINT) -> None:
        """PostgreSQL ends at SIGINT with clean data, at SIGQUIT with what there is; clients are sent away."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            process.wait(30)

    def _own(self, place: Path) -> None:
        if self._account:
            for path in (place, *place.rglob('*')):
                os.chown(path, self._account['user'], self._account['group'], follow_symlinks=False)


def start_migrated(cache: Path, migrate: Callable[[dict[str, str]], None]) -> PostgreSQL:
    """A server with the database `TEMPLATE`, migrated once and kept in a folder for the next time.

    Args:
        cache: Folder of what belongs to the present migrations.
        migrate: Migrates the database that an environment names.
    """
    said = subprocess.run([find_programs() / 'postgres', '--version'], check=True, capture_output=True, text=True)
    kept = cache / f'postgresql-{said.stdout.split()[2].partition(".")[0]}'
    if not kept.exists():
        server = PostgreSQL()
        try:
            migrate(server.environment(server.create(TEMPLATE, 'template0')))
            server.keep(kept)
        finally:
            server.stop()
    return PostgreSQL(kept)


def empty_by_deleting() -> None:
    """Have Django empty a hundred nearly empty tables after a test with DELETE; TRUNCATE makes each a new file."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    def sql_flush(self, style, tables, *, reset_sequences=False, allow_cascade=False):
        deletes = [f'DELETE FROM {self.quote_name(table)}' for table in tables]
        # Every table is emptied, so no row is left that could point nowhere. A thread that still writes when its test
        # has ended gives way, not we.
        first = ['SET LOCAL session_replication_role = replica', "SET LOCAL deadlock_timeout = '30s'"]
        return ['; '.join([*first, *deletes])] if tables else []

    DatabaseOperations.sql_flush = sql_flush


def _is_root() -> bool:
    return os.geteuid() == 0


def _plain() -> dict[str, str]:
    return {'PATH': os.environ.get('PATH', ''), 'LC_ALL': 'C', 'TZ': 'UTC'}
