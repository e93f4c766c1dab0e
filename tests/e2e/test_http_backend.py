"""`--ml-backend-url`: a model behind HTTP, in a live server of its own, predicts when tasks are opened."""

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.browsing import sign_in, until
from tests.e2e.server import Server

pytestmark = pytest.mark.slow

CHOICE = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['Weapons']}}


class Model(BaseHTTPRequestHandler):
    """The ML backend protocol, as far as predictions need it."""

    def do_GET(self):
        self._answer({'/health': {'status': 'UP', 'model_class': 'Model'}, '/versions': {'versions': ['one']}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.server.asked.append((self.path, body))
        results = [{'result': [CHOICE], 'score': 0.75} for _ in body.get('tasks', ())]
        predicted = {'results': results, 'model_version': 'one'}
        self._answer({'/setup': {'model_version': 'one'}, '/predict': predicted, '/webhook': {'status': 'ok'}})

    def _answer(self, answers):
        known = answers.get(self.path.partition('?')[0])
        content = json.dumps(known or {}).encode()
        self.send_response(200 if known else 404)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def model():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Model)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(data_dir):
    """Runs `label-studio start` with an HTTP backend."""
    started = []

    def run(url: str, *arguments: str) -> Server:
        command = ('planes', '--init', '--template', 'image_classification', '--ml-backend-url', url, *arguments)
        started.append(Server(data_dir, *command))
        return started[-1].wait_until_ready()

    yield run
    for server in started:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def import_task(session, server) -> int:
    # A picture in the task itself: nothing of this test needs a network.
    task = {'project': 1, 'data': {'image': 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=='}}
    answer = session.post(f'{server.url}/api/tasks/', json=task)
    assert answer.status_code == 201, answer.text
    return answer.json()['id']


@pytest.mark.browser
def test_predictions_of_an_http_backend_arrive_on_open(start, model, browser, tmp_path):
    port = model.server_address[1]
    server = start(f'http://localhost:{port}', '--ml-backend-name', 'planes model')
    assert f'ML backend "planes model" at http://localhost:{port} is connected' in server.output

    session = server.login()
    (connected,) = session.get(f'{server.url}/api/ml?project=1').json()
    assert (connected['title'], connected['readable_state']) == ('planes model', 'Connected')
    assert session.get(f'{server.url}/api/projects/1/').json()['model_version'] == 'planes model'

    task = import_task(session, server)
    (streamed,) = session.get(f'{server.url}/api/projects/1/next').json()['predictions']
    (opened,) = session.get(f'{server.url}/api/tasks/{task}/').json()['predictions']
    for prediction in (streamed, opened):
        assert (prediction['model_version'], prediction['score']) == ('one', 0.75)
        assert prediction['result'][0]['value'] == CHOICE['value']
    ((_, body),) = [item for item in model.asked if item[0] == '/predict']
    assert body['tasks'][0]['id'] == task
    assert '<Choices' in body['label_config']

    # It hears of annotations, as a backend does that learns from them.
    answer = session.post(f'{server.url}/api/tasks/{task}/annotations/', json={'result': [CHOICE]})
    assert answer.status_code == 201, answer.text
    until(lambda: 'ANNOTATION_CREATED' in [body['action'] for path, body in model.asked if path == '/webhook'], 20)

    # Many at once, in the background.
    for _ in range(3):
        import_task(session, server)
    body = {'selectedItems': {'all': True, 'excluded': []}, 'project': 1}
    answer = session.post(f'{server.url}/api/dm/actions?id=retrieve_tasks_predictions&project=1', json=body)
    assert answer.status_code == 200, answer.text
    runs = f'{server.url}/api/projects/1/ml-backends/http-{connected["id"]}/prelabel-runs/'
    until(lambda: [run['state'] for run in session.get(runs).json()] == ['finished'], 30)
    predicted = session.get(f'{server.url}/api/tasks?project=1&fields=all').json()['tasks']
    assert [[item['model_version'] for item in one['predictions']] for one in predicted] == [['one']] * 4

    # The button answers at once, whatever the training takes.
    assert session.post(f'{server.url}/api/ml/{connected["id"]}/train').status_code == 200
    until(lambda: 'START_TRAINING' in [body['action'] for path, body in model.asked if path == '/webhook'], 20)

    # Its card on the ML backends page, and the next task in Label Studio's own editor.
    task = import_task(session, server)
    sign_in(browser, server)
    browser.get(f'{server.url}/projects/1/ml-backends/')
    card = f'return document.querySelector("#ml-card-http-{connected["id"]}")?.innerText'
    try:
        shown = until(lambda: browser.execute_script(card))
        assert 'planes model' in shown
        assert '3 done' in shown
    finally:
        browser.save_screenshot(str(tmp_path / 'http-backend-card.png'))
    browser.get(f'{server.url}/projects/1/data?task={task}')
    chosen = "return document.querySelector('.lsf-choice__item:has(.ant-checkbox-checked)')?.innerText"
    try:
        assert 'Weapons' in until(lambda: browser.execute_script(chosen))
    finally:
        browser.save_screenshot(str(tmp_path / 'http-backend.png'))
    assert server.stop() == 0


def test_an_http_backend_that_is_away_is_said_and_the_server_starts(start, model):
    port = model.server_address[1]
    model.shutdown()
    model.server_close()
    server = start(f'http://localhost:{port}', '--ml-backend-name', 'away')
    assert f'ML backend "away" at http://localhost:{port} is not connected yet' in server.output
    session = server.login()
    task = import_task(session, server)
    answer = session.get(f'{server.url}/api/tasks/{task}/')
    assert (answer.status_code, answer.json()['predictions']) == (200, [])
    (connected,) = session.get(f'{server.url}/api/ml?project=1').json()
    assert connected['readable_state'] == 'Disconnected'
    assert server.stop() == 0
