"""A pytest plugin for upstream's suite: what makes it independent of the order of its tests, and quick.

freezegun looks at every name of every module when a test freezes the clock. The SDK loads its types on first use, and
with a frozen clock pydantic refuses them. Whether some earlier test had loaded them depends on how tests were spread
over processes, under upstream's own settings too.

Django's million iterations guard people's passwords and take a third of a second of each test that makes a person.
Migrating takes each process of the suite a minute; it begins with a copy of a database that was migrated before. And a
fixture of every test makes an S3 client, for which botocore reads and parses megabytes of JSON; it does so once now.
"""

import contextlib
import os
import sqlite3

import label_studio_sdk
from botocore.loaders import Loader
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db.backends.sqlite3.creation import DatabaseCreation

PBKDF2PasswordHasher.iterations = 1
for name in dir(label_studio_sdk):
    with contextlib.suppress(Exception):
        getattr(label_studio_sdk, name)


def copy_migrated(creation, verbosity=1, autoclobber=False, serialize=True, keepdb=False):
    """Stand for Django's ``create_test_db``: the same database in memory, filled from the migrated file."""
    connection, name = creation.connection, creation._get_test_db_name()
    connection.close()
    connection.settings_dict['NAME'] = name
    connection.ensure_connection()
    with contextlib.closing(sqlite3.connect(os.environ['UPSTREAM_SUITE_DATABASE'])) as migrated:
        migrated.backup(connection.connection)
    return name


def share_parsed_files() -> None:
    """Have all loaders of botocore share what the clients of one session share."""
    make, parsed = Loader.__init__, {}

    def make_sharing(self, *args, **kwargs):
        make(self, *args, **kwargs)
        self._cache = parsed

    Loader.__init__ = make_sharing


share_parsed_files()
if 'UPSTREAM_SUITE_DATABASE' in os.environ:
    DatabaseCreation.create_test_db = copy_migrated
