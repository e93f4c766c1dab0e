"""A class for the ML backend SDK inside the server against the same class in the SDK's own server.

    python tests/benchmarks/bench_sdk_adapter.py

BENCH_SDK_PYTHON names a Python with label-studio-ml 1.0.9, else its rows say "absent". The class is a constant one, so
what is measured is what lies around a model:

- one prediction: a task given to the model's queue, until its answer is there, against one request of `/predict` on an
  open connection, to which Label Studio adds `/health` and `/setup`; asked: at most 0.2 of the request alone;
- bulk: tasks with their predictions stored, ours by a bulk run, theirs by *Retrieve Predictions* of the unmodified
  release in this process, on the same database; asked: at least 20 times the rate.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
ONE, MANY, THEIRS = 300, 5000, 200
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
MODEL = """
from label_studio_ml.model import LabelStudioMLBase

class Constant(LabelStudioMLBase):
    def predict(self, tasks, **kwargs):
        region = {'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['yes']}}
        return [{'result': [region], 'score': 0.9, 'model_version': 'constant'} for _ in tasks]
"""
SDK_SERVER = """
import logging, sys
folder, port = sys.argv[1:]
sys.path.insert(0, folder)
from label_studio_ml.api import init_app
from model import Constant
app = init_app(Constant, model_dir=folder + '/models')
logging.disable(logging.CRITICAL)
app.run(host='127.0.0.1', port=int(port), threaded=True)
"""


def prepare(folder: Path) -> None:
    """A server with the class as an added folder."""
    os.environ['LABEL_STUDIO_BASE_DATA_DIR'] = str(folder / 'data')
    os.environ.setdefault('ML_LOG_LEVEL', 'WARNING')
    os.environ.update(ML_BLOCK_LOCAL_IP='false', SSRF_PROTECTION_ENABLED='false')
    (folder / 'data').mkdir()
    (folder / 'constant').mkdir()
    (folder / 'constant' / 'model.py').write_text(MODEL)
    from label_studio.ml_host.sdk import added

    added.add('constant', folder / 'constant', '')
    subprocess.run([sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], check=True, cwd=ROOT)
    from label_studio.ml_host import bootstrap

    bootstrap.setup()


def our_latency(project) -> float:
    """Milliseconds of one prediction, the median."""
    from label_studio.ml_host.enabling import gate
    from label_studio.ml_host.serving import host
    from label_studio.ml_host.task_data.resolver import HostTaskFiles, task_from_data
    from ml_plugins.runtime import Priority

    row = gate.active(project.pk, 'constant')
    files, times = HostTaskFiles(project), []
    for number in range(ONE + 10):
        start = time.perf_counter()
        spec = host.spec_for(row, project.label_config)
        task = task_from_data(number, {'text': f'text {number}'}, files)
        [answer] = host.runtime().submit(spec, [task], priority=Priority.OPEN).result(timeout=30)
        times.append(time.perf_counter() - start)
        assert answer.regions[0].value == {'choices': ['yes']}
    return 1000 * statistics.median(times[10:])


def post(port: int, path: str, body: object):
    request = urllib.request.Request(
        f'http://127.0.0.1:{port}{path}', json.dumps(body).encode(), {'Content-Type': 'application/json'}
    )
    return urllib.request.urlopen(request, timeout=60).read()


def their_latency(port: int) -> float:
    """Milliseconds of one request, the median; the connection stays open."""
    import requests

    post(port, '/setup', {'project': '1.1', 'schema': CONFIG})
    session, times = requests.Session(), []
    for number in range(ONE + 10):
        body = {
            'tasks': [{'id': number, 'data': {'text': f'text {number}'}}],
            'project': '1.1',
            'label_config': CONFIG,
            'params': {'login': None, 'password': None, 'context': None},
        }
        start = time.perf_counter()
        found = session.post(f'http://127.0.0.1:{port}/predict', json=body, timeout=60).json()
        times.append(time.perf_counter() - start)
        assert found['results'][0]['result'][0]['value'] == {'choices': ['yes']}
    return 1000 * statistics.median(times[10:])


def their_rate(user, port: int) -> float:
    """Predictions a second that upstream retrieves and stores."""
    from label_studio.ml_host.upstream import Prediction, Project, Task, UpstreamMLBackend
    from tests.benchmarks.bench_prelabel import add_tasks, texts

    organization = user.active_organization
    project = Project.objects.create(title='HTTP', created_by=user, organization=organization, label_config=CONFIG)
    add_tasks(project, texts(THEIRS))
    connection = UpstreamMLBackend.objects.create(project=project, url=f'http://127.0.0.1:{port}', title='http')
    start = time.perf_counter()
    connection.predict_tasks(Task.objects.filter(project=project))
    seconds = time.perf_counter() - start
    stored = Prediction.objects.filter(project=project).count()
    assert stored == THEIRS, f'{stored} predictions are stored; {connection.error_message}'
    return THEIRS / seconds


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix='bench-sdk-'))
    prepare(folder)
    from tests.benchmarks.bench_predict_service import start_peer
    from tests.benchmarks.bench_prelabel import make_owner, make_project, run_to_end, texts

    user = make_owner()
    project = make_project(user, CONFIG, texts(MANY), 'constant')
    ours, rate = our_latency(project), MANY / run_to_end(project, 'constant')
    print(f'SDK class in this server, one prediction:  {ours:8.2f} ms', flush=True)
    print(f'SDK class in this server, {MANY:,} stored:    {rate:8.0f} predictions/s', flush=True)
    python = os.environ.get('BENCH_SDK_PYTHON')
    if not python:
        print("the same class in the SDK's server: absent (BENCH_SDK_PYTHON is not set)")
        return
    process, port = start_peer(python, SDK_SERVER, lambda number: [str(folder / 'constant'), str(number)])
    try:
        theirs, their = their_latency(port), their_rate(user, port)
    finally:
        process.kill()
    print(f"the same in the SDK's server, one request: {theirs:8.2f} ms  ratio {ours / theirs:.3f} (<= 0.2)")
    print(
        f"the same in the SDK's server, {THEIRS} stored:  {their:8.1f} predictions/s  ratio {rate / their:.0f} (>= 20)"
    )


if __name__ == '__main__':
    main()
    os._exit(0)
