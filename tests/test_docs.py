"""Every code block of the documentation is run, or its command is named here with the test that runs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_plugins import parse_label_config
from ml_plugins.adapters.labels import LabelMatcher
from tests.protocol.test_documented_requests import COMMANDS as PROTOCOL_COMMANDS
from tests.serving.test_documented_requests import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

# Commands that need a machine of their own, and the test that does what they do.
RUN_ELSEWHERE = {
    'pip install .': 'tests/test_packaging.py',
    'pip install -e .': '.ci/run',
    'pip install . && label-studio start imgcls --init --template image_classification '
    '--ml-backend-name image_classifier': 'tests/e2e/test_main_job.py',
    'label-studio start imgcls --init --template image_classification '
    '--ml-backend-name image_classifier': 'tests/e2e/test_main_job.py',
    "pip install '.[segmenter]'": '.ci/run',
    'pip install --no-deps rapidocr-onnxruntime pyclipper shapely six onnxruntime': '.ci/run',
    'bash .ci/run': '.ci/run',
    'curl -X POST -H "Authorization: Token $TOKEN" -H \'Content-Type: application/json\' -d \'{"skip_labeled": true}\' '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/prelabel-runs/': 'tests/e2e/test_prelabel.py',
    'curl -H "Authorization: Token $TOKEN" '
    'http://localhost:8080/api/projects/1/prelabel/': 'tests/e2e/test_prelabel.py',
    'curl -X PATCH -H "Authorization: Token $TOKEN" -H \'Content-Type: application/json\' '
    '-d \'{"learning": {"on": true, "after_labels": 50, "every_minutes": 10}}\' '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/': 'tests/learning/test_settings_api.py',
    'curl -X PATCH -H "Authorization: Token $TOKEN" -H \'Content-Type: application/json\' '
    '-d \'{"sampling": {"on": true, "explore": 0.1, "stop": {"budget": {"labels": 500}}}}\' '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/': 'tests/sampling/test_findings_api.py',
    'curl -H "Authorization: Token $TOKEN" '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/sampling/': (
        'tests/sampling/test_findings_api.py'
    ),
    'curl -X POST -H "Authorization: Token $TOKEN" '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/sampling/use-again/': (
        'tests/sampling/test_findings_api.py'
    ),
    'curl -H "Authorization: Token $TOKEN" -o v3.zip '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/versions/3/download/': (
        'tests/versions/test_versions_api.py'
    ),
    'curl -H "Authorization: Token $TOKEN" -F file=@v3.zip '
    'http://localhost:8080/api/projects/2/ml-backends/image_classifier/versions/': (
        'tests/versions/test_versions_api.py'
    ),
    'export ML_VERSION_STORAGE=storages.backends.s3boto3.S3Boto3Storage': 'tests/versions/test_storage.py',
    'export ML_VERSION_STORAGE_OPTIONS=\'{"bucket_name": "models", "region_name": "eu-central-1"}\'': (
        'tests/versions/test_storage.py'
    ),
    'curl -X POST -H "Authorization: Token $TOKEN" -H \'Content-Type: application/json\' '
    '-d \'{"strategies": ["automatic", "margin"], "labels": 200, "batch": 10, "seeds": 5}\' '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/replays/': 'tests/analysis/test_replay.py',
    'curl -X POST -H "Authorization: Token $TOKEN" '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/label-errors/': (
        'tests/analysis/test_label_errors.py'
    ),
    'curl -H "Authorization: Token $TOKEN" '
    'http://localhost:8080/api/projects/1/ml-backends/image_classifier/label-errors/1/': (
        'tests/analysis/test_label_errors.py'
    ),
    'label-studio logs --training 1': 'tests/e2e/test_main_job.py',
    'label-studio plugins create my_digits --from onnx': 'tests/launcher/test_plugins_command.py',
    'python -m pytest tests/test_upstream_contract.py': 'tests/test_upstream_contract.py',
    'python -m tests.upstream_suite.run': 'tests/upstream_suite/test_suite.py',
    'python -m pytest tests': 'tests/test_docs.py',
    'pip install -r my-backend/requirements.txt': 'tests/sdk/test_registration.py',
    'label-studio plugins add my-backend --name my_backend': 'tests/sdk/test_registration.py',
    'label-studio start demo --init --template text_classification '
    '--ml-backend-name my_backend': 'tests/sdk/test_in_a_server.py',
    # These run with other hosts, ports and folders.
    'export DJANGO_DB=default POSTGRE_HOST=db POSTGRE_PORT=5432 POSTGRE_NAME=labels': 'tests/e2e/test_postgresql.py',
    'export POSTGRE_USER=labels POSTGRE_PASSWORD=secret': 'tests/e2e/test_postgresql.py',
    'export REDIS_URL=redis://queue:6379/0': 'tests/e2e/test_postgresql.py',
    'export LABEL_STUDIO_BASE_DATA_DIR=/srv/labels': 'tests/e2e/test_postgresql.py',
    'ML_WORKERS=0 label-studio start --no-browser --port 8080': 'tests/e2e/test_postgresql.py',
    'waitress-serve --threads=8 --port=8080 label_studio.ml_host.wsgi:application': 'tests/e2e/test_postgresql.py',
    'label-studio worker': 'tests/e2e/test_postgresql.py',
    'label-studio serve image_classifier --port 9090 --username models@example.org '
    '--password secret-models': 'tests/protocol/test_conformance.py',
    'curl -X POST -H "Authorization: Token $TOKEN" '
    'http://localhost:8080/api/projects/1/ml-backends/http-1/prelabel-runs/': 'tests/http_backends/test_bulk.py',
    'label-studio worker --queues ml_train': 'tests/e2e/test_postgresql.py',
}
RUN_ELSEWHERE |= {
    f"pip install '.[{extra}]'": 'tests/test_packaging.py' for extra in ('ner', 'text-embeddings', 'zero-shot')
}
RUN_ELSEWHERE |= dict.fromkeys(
    ['export ML_LLM_API_KEY=sk-...', 'export ML_LLM_ENDPOINT=http://localhost:11434/v1'], 'tests/llm/test_llm.py'
)
RUN_ELSEWHERE |= dict.fromkeys(COMMANDS, 'tests/serving/test_documented_requests.py')
RUN_ELSEWHERE |= dict.fromkeys(PROTOCOL_COMMANDS, 'tests/protocol/test_documented_requests.py')
RUN_HERE = ('label-studio logs', 'label-studio plugins list', 'label-studio plugins check image_classifier')


def blocks():
    for page in PAGES:
        for kind, title, body in BLOCK.findall(page.read_text(encoding='utf-8')):
            yield page, kind, title, body


def commands():
    for _page, kind, _title, body in blocks():
        if kind == 'console':
            yield from (line[2:].strip() for line in body.splitlines() if line.startswith('$ '))


def test_every_command_is_run_somewhere():
    unknown = sorted({command for command in commands()} - set(RUN_ELSEWHERE) - set(RUN_HERE))
    assert unknown == []
    missing = [place for place in set(RUN_ELSEWHERE.values()) if not (ROOT / place).exists()]
    assert missing == []


@pytest.mark.parametrize('command', RUN_HERE)
def test_a_documented_command_works(command, data_dir, monkeypatch):
    monkeypatch.setenv('LABEL_STUDIO_BASE_DATA_DIR', str(data_dir))
    (data_dir / 'ml' / 'logs').mkdir(parents=True)
    (data_dir / 'ml' / 'logs' / 'runtime.log').write_text('a line\n')
    program = Path(sys.executable).parent / 'label-studio'
    done = subprocess.run([program, *command.split()[1:]], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def run_in(folder, *arguments):
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=240)


PYTEST = ('-m', 'pytest', 'tests', '-q', '-p', 'no:cacheprovider', '-p', 'no:django')


def write_files_of(page, folder):
    files = {title: body for where, _kind, title, body in blocks() if where == ROOT / 'docs' / page and title}
    for name, body in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, encoding='utf-8')
    return set(files)


def test_the_plugin_of_the_tutorial_passes_its_own_tests(tmp_path):
    files = write_files_of('write-a-plugin.md', tmp_path)
    assert {'pyproject.toml', 'my_model/apps.py', 'my_model/backend.py', 'tests/test_backend.py'} <= files
    done = run_in(tmp_path, *PYTEST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' passed' in done.stdout


CHECK_ALL = """
import importlib, pkgutil
import my_model
from ml_plugins import BackendContext, MLBackend, MLBackendConfig, Task, parse_label_config
from ml_plugins.testing import check_backend

names = [found.name for found in pkgutil.iter_modules(my_model.__path__)]
modules = [importlib.import_module(f'my_model.{name}') for name in names]
things = [thing for module in modules for thing in vars(module).values() if isinstance(thing, type)]
backends = [thing for thing in things if issubclass(thing, MLBackend) and thing.__module__.startswith('my_model')]
assert len(backends) == 5, backends
assert [problem for backend in backends for problem in check_backend(backend)] == []
config = importlib.import_module('my_model.apps').MyModelConfig
assert issubclass(config, MLBackendConfig) and config.name == 'my_model'
backend_class = config('my_model', my_model).backend_class()
xml = importlib.import_module('tests.test_wrapped').TEXTS.replace('"a"', '"good"').replace('"b"', '"bad"')
backend = backend_class(BackendContext(parse_label_config(xml)))
backend.setup()
assert backend.predict([Task(1, {'text': 'fine'})])[0].regions[0].value == {'choices': ['good']}
"""


def test_the_adapters_of_their_page_work(tmp_path):
    files = write_files_of('adapters.md', tmp_path)
    assert {f'my_model/{name}.py' for name in ('boxes', 'topics', 'pictures', 'sentiment', 'digits')} <= files
    (tmp_path / 'my_model' / '__init__.py').touch()
    done = run_in(tmp_path, *PYTEST)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = run_in(tmp_path, '-c', CHECK_ALL)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_label_configs_of_the_pages_are_ones():
    written = [(page, body) for page, kind, _title, body in blocks() if kind == 'xml']
    assert written
    for page, body in written:
        objects = '<Image name="image" value="$image"/><Text name="text" value="$text"/>'
        config = parse_label_config(body if '<View' in body else f'<View>{objects}{body}</View>')
        assert config.all_controls, page
        if 'predicted_values' in body:
            matcher = LabelMatcher(config.all_controls[0])
            assert [matcher.match(name) for name in ('automobile', 'car', 'fire_truck')] == ['Car', 'Car', 'Fire truck']


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r'\]\((?!https?:)([^)#]+)', page.read_text(encoding='utf-8')):
            assert (page.parent / target).exists(), f'{page.name}: {target}'
