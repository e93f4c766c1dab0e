"""Shared set-up: a data directory of its own, and a migrated database that is built once and copied.

The database is SQLite, or PostgreSQL with LABEL_STUDIO_TEST_DATABASE=postgresql.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
DATABASE = os.environ.get('LABEL_STUDIO_TEST_DATABASE', 'sqlite')
if DATABASE not in ('sqlite', 'postgresql'):
    raise pytest.UsageError(f'LABEL_STUDIO_TEST_DATABASE={DATABASE}: must be sqlite or postgresql')

# A shell that starts the tests in the background has Ctrl-C ignored, by all that they start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ['LABEL_STUDIO_BASE_DATA_DIR'] = tempfile.mkdtemp(prefix='label-studio-tests-')
os.environ['DJANGO_DB'] = DATABASE

from label_studio.ml_host import bootstrap  # noqa: E402
from tests.migrated import migrate, migrated_sqlite, template_folder  # noqa: E402

bootstrap.setup()

from django.contrib.auth.hashers import PBKDF2PasswordHasher  # noqa: E402

# A million iterations guard people's passwords and take a third of a second of each test that makes a person.
PBKDF2PasswordHasher.iterations = 1


@pytest.fixture(scope='session')
def migrated_database() -> Path:
    """A migrated SQLite file; migrating takes about a minute, so it is kept between test runs."""
    return migrated_sqlite()


@pytest.fixture(scope='session')
def postgresql():
    """A PostgreSQL server with a migrated database to copy."""
    from tests.postgresql import PostgreSQLMissingError, start_migrated

    try:
        with template_folder() as folder:
            server = start_migrated(folder, migrate)
    except PostgreSQLMissingError as error:
        # Who asked for PostgreSQL must not get a green run without it.
        (pytest.fail if DATABASE == 'postgresql' else pytest.skip)(str(error))
    yield server
    server.stop()


@pytest.fixture
def data_dir(tmp_path: Path, request, monkeypatch) -> Path:
    """A data directory with a migrated database, for tests that start real processes."""
    folder = tmp_path / 'data'
    folder.mkdir()
    if DATABASE == 'postgresql':
        server = request.getfixturevalue('postgresql')
        for name, value in server.environment(server.create()).items():
            monkeypatch.setenv(name, value)
    else:
        shutil.copy(request.getfixturevalue('migrated_database'), folder / 'label_studio.sqlite3')
    return folder


@pytest.fixture(scope='session')
def django_db_keepdb() -> bool:
    """The test database is a copy of the migrated one: nothing is left to apply."""
    return True


@pytest.fixture(scope='session')
def django_db_modify_db_settings(request) -> None:
    """Point Django at a copy of the migrated database. Threads share a file; they would not share memory."""
    from django.conf import settings
    from django.db.models.signals import post_migrate
    from django.urls import get_resolver

    # Emptying the tables after a test would make Django's permissions anew each time, which takes longer than most
    # tests; nobody asks for them: upstream has rules of its own, and the admin is for superusers.
    assert post_migrate.disconnect(dispatch_uid='django.contrib.auth.management.create_permissions')
    default = settings.DATABASES['default']
    if DATABASE == 'postgresql':
        from tests.postgresql import empty_by_deleting

        assert 'postgresql' in default['ENGINE']
        # Some of upstream's models are imported only with its URLs; who empties the tables must know all of them.
        assert get_resolver().url_patterns
        empty_by_deleting()
        server = request.getfixturevalue('postgresql')
        given = server.environment(server.create())
        default.update({name: given[f'POSTGRE_{name}'] for name in ('HOST', 'PORT', 'USER', 'PASSWORD', 'NAME')})
        name = default['NAME']
    else:
        name = Path(os.environ['LABEL_STUDIO_BASE_DATA_DIR']) / 'test.sqlite3'
        shutil.copy(request.getfixturevalue('migrated_database'), name)
    default.setdefault('TEST', {})['NAME'] = str(name)


@pytest.fixture(autouse=True)
def _failures_stay_in_memory(request):
    """Failures are written by another thread, which must not meet a test's open transaction."""
    from label_studio.ml_host.failures import keep
    from ml_plugins.failures import failure_log

    if 'kept_failures' not in request.fixturenames:
        failure_log.stop_listening(keep)
    yield
    failure_log.listen(keep)


@pytest.fixture
def kept_failures(transactional_db):
    """Failures reach the database in this test."""


@pytest.fixture(autouse=True)
def _no_resident_models():
    yield
    from label_studio.ml_host.serving import host

    host.reset()


@pytest.fixture
def inline_plugins():
    """Gives `register(name, backend_class)`; what it registers is gone after the test."""
    from ml_plugins.registry import registry
    from tests.inline_plugins import register

    before = dict(registry._plugins)
    yield register
    registry._plugins.clear()
    registry._plugins.update(before)


@pytest.fixture
def constant(inline_plugins):
    """An enabled-anywhere plugin `constant` that says "cat"."""
    from tests.inline_plugins import ConstantBackend

    ConstantBackend.calls.clear()
    ConstantBackend.interactions.clear()
    inline_plugins('constant', ConstantBackend)
    return ConstantBackend


@pytest.fixture
def owner(db):
    """A user with an organisation."""
    from label_studio.ml_host.upstream import Organization, User

    user = User.objects.create_user(email='owner@example.org', password='secret-pass')
    organization = Organization.create_organization(created_by=user, title='Example')
    user.active_organization = organization
    user.save(update_fields=['active_organization'])
    return user


CHOICES_CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)


@pytest.fixture
def project(owner):
    """A project with one Choices tag on an Image."""
    from label_studio.ml_host.upstream import Project

    return Project.objects.create(
        title='Pets', created_by=owner, organization=owner.active_organization, label_config=CHOICES_CONFIG
    )


@pytest.fixture
def api(owner):
    """A REST client of the owner."""
    from rest_framework.test import APIClient

    client = APIClient()
    client.force_authenticate(owner)
    return client
