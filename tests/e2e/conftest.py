"""A headless Chromium, and one server that several end-to-end tests share."""

import shutil
import signal

import pytest

from tests.e2e import sampling_plugin
from tests.e2e.browsing import chromium
from tests.e2e.pictures import picture_site
from tests.e2e.server import Server
from tests.e2e.workplace import Workplace
from tests.installed_plugins import install_plugins


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path / 'chromium') as program:
        yield program


@pytest.fixture(scope='session')
def site():
    """The address of a web server with good and bad pictures."""
    with picture_site() as address:
        yield address


@pytest.fixture(scope='session')
def workplace(tmp_path_factory, migrated_database):
    """A server whose default backend is the demo plugin; each test uses projects of its own."""
    folder = tmp_path_factory.mktemp('workplace')
    data_dir, shared = folder / 'data', folder / 'shared'
    data_dir.mkdir()
    shared.mkdir()
    shutil.copy(migrated_database, data_dir / 'label_studio.sqlite3')
    environment = {
        'PYTHONPATH': str(sampling_plugin.install(install_plugins(folder / 'plugins', 'mlp_demo', 'mlp_broken'))),
        # The pictures are on this machine.
        'SSRF_PROTECTION_ENABLED': 'false',
        'LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED': 'true',
        'LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT': str(shared),
    }
    with chromium(folder / 'chromium') as browser:
        server = Server(data_dir, '--ml-backend-name', 'demo', environment=environment)
        try:
            place = Workplace(server.wait_until_ready(), data_dir, browser)
            place.shared_folder = shared
            yield place
        finally:
            if server.process.poll() is None:
                server.stop(signal.SIGINT)
