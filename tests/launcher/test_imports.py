"""What the web process and the commands load: no model library before a model is needed."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from redis import Redis

from label_studio.ml_host.bootstrap import UPSTREAM_ROOT
from tests.launcher.server import Server, wait_until

MODEL_LIBRARIES = {
    'cv2',
    'efficientnet_lite_pytorch',
    'onnxruntime',
    'safetensors',
    'scipy',
    'sklearn',
    'torch',
    'torchvision',
    'transformers',
}
# What the fork itself adds to what upstream loads to answer its first page.
OURS = {'django_htmx', 'label_studio', 'ml_plugins'}
FIRST_PAGE = """
from django.core.wsgi import get_wsgi_application
get_wsgi_application()
from django.test import Client
from django.urls import get_resolver
get_resolver().url_patterns
assert Client().get('/user/login/', headers={'host': 'localhost'}).status_code == 200
"""
MIGRATE = """
import django
django.setup()
from label_studio.ml_host.launcher.migrate import migrate
migrate()
"""
SAY = """
import json, sys
print('LOADED', json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""
UPSTREAM = """
import os, sys
sys.path[:0] = {paths}
os.environ['DJANGO_SETTINGS_MODULE'] = 'core.settings.label_studio'
"""
FORK = """
from label_studio.ml_host import bootstrap
bootstrap.prepare()
"""


def loaded(code: str, data_dir: Path) -> set[str]:
    """Top-level packages that a process has loaded after some code."""
    environment = {name: value for name, value in os.environ.items() if name != 'DJANGO_SETTINGS_MODULE'}
    environment |= {'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir), 'DJANGO_DB': 'sqlite', 'LATEST_VERSION_CHECK': 'false'}
    done = subprocess.run(
        [sys.executable, '-c', code + SAY], env=environment, cwd=data_dir, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith('LOADED ')]
    return set(json.loads(line.removeprefix('LOADED ')))


@pytest.fixture(scope='module')
def first_page(tmp_path_factory, migrated_database) -> set[str]:
    return loaded(FORK + FIRST_PAGE, _copied(tmp_path_factory, migrated_database))


def _copied(tmp_path_factory, database: Path) -> Path:
    folder = tmp_path_factory.mktemp('data')
    (folder / database.name).write_bytes(database.read_bytes())
    return folder


def test_the_first_page_needs_no_model_library(first_page):
    assert {'django', 'ml_plugins'} <= first_page
    assert first_page & MODEL_LIBRARIES == set()


def test_the_first_page_needs_little_more_than_upstreams(first_page, tmp_path_factory, migrated_database):
    paths = [str(UPSTREAM_ROOT), str(UPSTREAM_ROOT.parent)]
    theirs = loaded(UPSTREAM.format(paths=paths) + FIRST_PAGE, _copied(tmp_path_factory, migrated_database))
    assert len(theirs) > 100
    assert first_page - theirs - OURS - set(sys.stdlib_module_names) == set()


def test_preparing_the_database_needs_no_model_library(data_dir):
    found = loaded(FORK + MIGRATE, data_dir)
    assert {'django', 'ml_plugins'} <= found
    assert found & MODEL_LIBRARIES == set()


def mapped(pid: int) -> set[str]:
    """Packages whose compiled parts a process has loaded."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    places = [line.partition('site-packages/')[2] for line in lines if 'site-packages/' in line]
    return {place.partition('/')[0] for place in places}


@pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')
def test_the_real_server_and_its_idle_worker_load_no_model_library(data_dir):
    named = ('--username', 'lead@example.org', '--password', 'label-everything')
    model = ('--template', 'image_classification', '--ml-backend-name', 'image_classifier')
    server = Server(data_dir, 'pets', '--init', *model, *named)
    try:
        with urllib.request.urlopen(f'http://localhost:{server.port}/user/login/', timeout=20) as page:
            assert page.status == 200
        assert wait_until(server.has_worker, 20)
        [worker] = [pid for pid, command in server.processes().items() if ' worker ' in command]
        with Redis(unix_socket_path=str(data_dir / 'ml' / 'redis' / 'redis.sock')) as queue:
            assert wait_until(lambda: queue.scard('rq:workers') == 1, 60)
        for pid in (server.process.pid, worker):
            assert 'psycopg_binary' in mapped(pid)
            assert mapped(pid) & MODEL_LIBRARIES == set()
    finally:
        server.process.terminate()
        server.process.wait(30)


def test_what_is_kept_out_of_a_start_is_there_when_it_is_asked_for(tmp_path):
    code = 'import nltk; assert not {"sklearn", "scipy"} & set(sys.modules); import sklearn.cluster, scipy.stats'
    assert {'nltk', 'sklearn', 'scipy'} <= loaded(FORK + 'import sys, django; django.setup(); ' + code, tmp_path)
