"""The prediction service under load, against the same model asked one request at a time.

    python tests/benchmarks/bench_predict_service.py

A server with waitress in this process, callers in another one. Rows:

- a model that sleeps 20 ms and 1 ms an item: 32 callers at once against one caller; asked: at least 5 times the
  requests a second, and a 95th percentile under 150 ms;
- `image_classifier`: 16 callers against the official SDK's server, when BENCH_SDK_PYTHON names a Python with
  label-studio-ml 1.0.9 and torch, else the row says "absent". Once with the same network and head in a class as the
  SDK's examples are written, task by task (asked: at least twice), and once with our own backend class inside the SDK's
  server, where only the servers differ.
"""

import base64
import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
SECONDS = float(os.environ.get('BENCH_SECONDS', 10))

CALLERS = """
import http.client, json, sys, threading, time
host, port, path, token, callers, seconds, file = sys.argv[1:]
body = open(file, 'rb').read()
bodies = json.loads(body)
headers = {'Content-Type': 'application/json'}
if token: headers['Authorization'] = 'Token ' + token
times, errors, end = [], [], time.perf_counter() + float(seconds)
def call(number):
    connection = http.client.HTTPConnection(host, int(port))
    turn = number
    while (start := time.perf_counter()) < end:
        connection.request('POST', path, bodies[turn % len(bodies)], headers)
        answer = connection.getresponse(); content = answer.read()
        turn += int(callers)
        if answer.status == 200: times.append(time.perf_counter() - start)
        else: errors.append((answer.status, content[:300].decode(errors='replace')))
threads = [threading.Thread(target=call, args=[n]) for n in range(int(callers))]
start = time.perf_counter()
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps({'times': times, 'errors': errors[:3], 'failed': len(errors), 'wall': time.perf_counter() - start}))
"""


# The same files, served by label-studio-ml 1.0.9 as its users serve a model.
SDK_SERVER = """
import io, sys
from pathlib import Path
root, folder, port, config, kind = sys.argv[1:]
sys.path.append(root)
from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase
from ml_plugins import BackendContext, Task, VersionFiles, parse_label_config
from ml_plugins.contrib.image_classifier.backend import ImageClassifier
from ml_plugins.testing.fakes import MemoryFiles
import base64
class Files(MemoryFiles):
    def read(self, task, key):
        return base64.b64decode(task.data[key])
class Network(LabelStudioMLBase):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        from ml_plugins.contrib.image_classifier import artifact
        from ml_plugins.contrib.image_classifier.backbones import load_backbone
        self.network = load_backbone(device='cpu')
        self.head = artifact.load(Path(folder), 'cpu').heads['choice']
    def predict(self, tasks, **kwargs):
        import numpy as np, torch
        from PIL import Image
        results = []
        for task in tasks:
            picture = Image.open(io.BytesIO(base64.b64decode(task['data']['image']))).convert('RGB').resize((224, 224))
            batch = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())[None]
            with torch.no_grad():
                features = self.network.features(batch).numpy()
            row = self.head.probabilities(features, ('cat', 'dog'))[0]
            label, score = ('cat', 'dog')[row.argmax()], float(row.max())
            region = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [label]}}
            results.append({'result': [region], 'score': score})
        return results
class OurClass(LabelStudioMLBase):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        context = BackendContext(parse_label_config(config), version=VersionFiles(1, Path(folder)), device='cpu')
        self.backend = ImageClassifier(context)
        self.backend.setup()
    def predict(self, tasks, **kwargs):
        files = Files()
        found = self.backend.predict([Task(None, task['data'], files=files) for task in tasks])
        return [{'result': one.result(), 'score': float(one.score)} for one in found]
app = init_app({'network': Network, 'class': OurClass}[kind], model_dir=folder)
import logging; logging.disable(logging.CRITICAL)
app.run(host='127.0.0.1', port=int(port), threaded=True)
"""
CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)


def prepare() -> None:
    folder = tempfile.mkdtemp(prefix='bench-predict-')
    os.environ['LABEL_STUDIO_BASE_DATA_DIR'] = folder
    subprocess.run([sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], check=True, cwd=ROOT)
    from label_studio.ml_host import bootstrap

    bootstrap.setup()


def make_project():
    from label_studio.ml_host.upstream import Organization, Project, User

    user = User.objects.create_user(email='bench@example.org', password='bench-pass')
    organization = Organization.create_organization(created_by=user, title='Bench')
    user.active_organization = organization
    user.save()
    organization.jwt.legacy_api_tokens_enabled = True
    organization.jwt.save()
    project = Project.objects.create(title='Bench', created_by=user, organization=organization, label_config=CONFIG)
    return user, project


def start_server() -> int:
    from label_studio.ml_host.launcher import web
    from label_studio.ml_host.wsgi import application

    server = web.listen('127.0.0.1', 0, application)
    threading.Thread(target=server.run, daemon=True).start()
    return server.effective_port


def load(port: int, path: str, token: str, callers: int, bodies: list[str], host: str = '127.0.0.1') -> dict:
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(bodies, file)
        file.flush()
        command = [sys.executable, '-c', CALLERS, host, str(port), path, token, str(callers), str(SECONDS), file.name]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if found['failed']:
        raise SystemExit(f'{found["failed"]} requests failed: {found["errors"]}')
    times = sorted(found['times'])
    return {
        'rate': len(times) / found['wall'],
        'median': 1000 * statistics.median(times),
        'p95': 1000 * times[int(0.95 * len(times))],
    }


def row_of(name: str, found: dict, note: str = '') -> None:
    print(
        f'{name:48s} {found["rate"]:8.1f} /s  median {found["median"]:6.1f} ms  p95 {found["p95"]:6.1f} ms  {note}',
        flush=True,
    )


def sleeping_model(port: int, token: str, project, user) -> None:
    from label_studio.ml_host.enabling import services
    from ml_plugins import MLBackend, Prediction, Serves
    from tests.inline_plugins import register

    class Sleeping(MLBackend):
        serves = (Serves('Choices', 'Image'),)
        max_batch = 64

        def predict(self, tasks, interaction=None):
            time.sleep(0.020 + 0.001 * len(tasks))
            control = self.label_config.control('Choices', 'Image')
            return [Prediction([control.choices('cat', score=0.9)], score=0.9) for _ in tasks]

    register('sleeping', Sleeping)
    services.enable(project, 'sleeping', user)
    bodies = [json.dumps({'image': f'https://example.org/{number}.jpg'}) for number in range(100)]
    load(port, '/predict', token, 4, bodies[:4])
    single = load(port, '/predict', token, 1, bodies)
    many = load(port, '/predict', token, 32, bodies)
    row_of('20 ms + 1 ms an item, one at a time', single)
    ratio = many['rate'] / single['rate']
    row_of('20 ms + 1 ms an item, 32 callers', many, f'ratio {ratio:.2f} (>= 5), p95 (< 150 ms)')
    services.disable(project, 'sleeping')


def pictures(count: int) -> list[bytes]:
    """Distinct pictures of the size of a photo on a page."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        small = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(file, 'JPEG', quality=85)
        found.append(file.getvalue())
    return found


def trained(photos: list[bytes]) -> Path:
    """Files of a version of `image_classifier`, trained on a few of the pictures."""
    from ml_plugins import BackendContext, Task, parse_label_config
    from ml_plugins.contrib.image_classifier.backend import ImageClassifier
    from ml_plugins.testing.fakes import MemoryDataset, MemoryFiles, MemoryRun, example_of

    files = MemoryFiles({str(number): photo for number, photo in enumerate(photos)})
    control = parse_label_config(CONFIG).control('Choices')
    examples = [
        example_of(
            Task(number + 1, {'image': str(number)}, files=files),
            [control.choices(('cat', 'dog')[number % 2]).as_result()],
        )
        for number in range(8)
    ]
    run = MemoryRun(Path(tempfile.mkdtemp(prefix='bench-version-')) / 'run')
    ImageClassifier(BackendContext(parse_label_config(CONFIG), device='cpu')).fit(MemoryDataset(examples), run)
    return run.directory


def start_sdk(python: str, version: Path, kind: str) -> tuple[subprocess.Popen, int]:
    return start_peer(python, SDK_SERVER, lambda port: [str(ROOT), str(version), str(port), CONFIG, kind])


def start_peer(python: str, code: str, arguments: Callable[[int], list[str]]) -> tuple[subprocess.Popen, int]:
    """A server in a Python of its own, once it listens."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [python, '-c', code, *arguments(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(240):
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
            return process, port
        time.sleep(0.5)
    raise SystemExit('The SDK server does not start; see SDK_SERVER.')


def image_classifier(port: int, token: str, project, user) -> None:
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.models import ModelVersion
    from label_studio.ml_host.serving import host
    from ml_plugins import VersionFiles

    photos = pictures(64)
    version = trained(photos)
    host._version_files = lambda row: VersionFiles(row.number, version)
    row = services.enable(project, 'image_classifier', user)
    row.in_service = ModelVersion.objects.create(project=project, backend='image_classifier', number=1)
    row.save()
    encoded = [base64.b64encode(photo).decode() for photo in photos]
    ours = [json.dumps({'image_base64': photo}) for photo in encoded]
    load(port, '/predict', token, 2, ours[:2])
    found = load(port, '/predict', token, 16, ours)
    row_of('image_classifier, 16 callers', found)
    host.reset()
    python = os.environ.get('BENCH_SDK_PYTHON')
    if not python:
        print('image_classifier in the SDK server                absent (BENCH_SDK_PYTHON is not set)')
        return
    for kind, name, note in (
        ('network', 'the same network in the SDK server, 16 callers', '(>= 2)'),
        ('class', 'our backend class in the SDK server, 16 callers', ''),
    ):
        peer = load_sdk(python, version, kind, encoded)
        row_of(name, peer, f'ratio {found["rate"] / peer["rate"]:.2f} {note}')


def load_sdk(python: str, version: Path, kind: str, encoded: list[str]) -> dict:
    process, sdk_port = start_sdk(python, version, kind)
    try:
        head = {'project': '1.1', 'label_config': CONFIG, 'params': {}}
        theirs = [json.dumps({'tasks': [{'data': {'image': photo}}], **head}) for photo in encoded]
        setup = json.dumps({'project': '1.1', 'schema': CONFIG})
        request = urllib.request.Request(
            f'http://127.0.0.1:{sdk_port}/setup', setup.encode(), {'Content-Type': 'application/json'}
        )
        urllib.request.urlopen(request, timeout=120).read()
        load(sdk_port, '/predict', '', 2, theirs[:2])
        return load(sdk_port, '/predict', '', 16, theirs)
    finally:
        process.kill()


def main() -> None:
    prepare()
    from rest_framework.authtoken.models import Token

    user, project = make_project()
    token = Token.objects.get(user=user).key
    port = start_server()
    sleeping_model(port, token, project, user)
    image_classifier(port, token, project, user)


if __name__ == '__main__':
    main()
    os._exit(0)
