"""The main job with the real command, a real worker, real photos and a real browser."""

import signal
import subprocess

import pytest

from tests.e2e.browsing import click, sign_in, until
from tests.e2e.server import PROGRAM, Server, processes_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLASSES = ('mammal', 'bird', 'food', 'vehicle')
CONFIG = '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{name}"/>' for name in CLASSES)
)


@pytest.fixture
def photos():
    """Real photos of four classes: {class: [photos]}."""
    from tests.assets.tuxpaint import AssetsMissingError
    from tests.assets.tuxpaint import photos as all_photos

    try:
        found = all_photos()
    except AssetsMissingError as error:
        pytest.skip(str(error))
    return {name: [photo for photo in found if photo.label == name][:14] for name in CLASSES}


@pytest.fixture
def server(data_dir):
    command = ('imgcls', '--init', '--template', 'image_classification', '--ml-backend-name', 'image_classifier')
    server = Server(data_dir, *command)
    yield server.wait_until_ready()
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


@pytest.fixture
def page(browser, server):
    """The browser, logged in through the login page."""
    sign_in(browser, server)
    return browser


def upload(session, server, photo) -> int:
    files = {'file': (f'{photo.name}.png', photo.png, 'image/png')}
    answer = session.post(f'{server.url}/api/projects/1/import?return_task_ids=true', files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()['task_ids'][0]


def label(session, server, task: int, name: str) -> None:
    region = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [name]}}
    answer = session.post(f'{server.url}/api/tasks/{task}/annotations/', json={'result': [region]})
    assert answer.status_code == 201, answer.text


def click_choice(page, session, server, task: int, name: str) -> None:
    """Label a task in Label Studio's own editor."""
    page.get(f'{server.url}/projects/1/data?task={task}')
    click(page, '.lsf-choice__item', name)
    until(lambda: page.execute_script("return document.querySelectorAll('.ant-checkbox-checked').length") == 1)
    click(page, '[aria-label="Submit current annotation"]')
    until(lambda: session.get(f'{server.url}/api/tasks/{task}/').json()['annotations'])


def train(page, server) -> None:
    """Press Train on the ML backends page and watch the run end."""
    from selenium.webdriver.common.by import By

    page.get(f'{server.url}/projects/1/ml-backends/')
    until(lambda: page.find_elements(By.CSS_SELECTOR, '.ml-primary'))
    known = runs(page)
    click(page, '.ml-primary', 'Train')
    # The run appears at once, on a machine that is not busy, and the page follows it to its end by itself.
    run = until(lambda: next((found for found in runs(page) if found not in known), None), 40, 0.1)

    def ended():
        state = runs(page)[run]
        assert state not in ('failed', 'cancelled'), page.find_element(By.TAG_NAME, 'body').text
        return state == 'finished'

    until(ended, 150)


def runs(page) -> dict[str, str]:
    """State by number of the runs that the page shows."""
    script = "return [...document.querySelectorAll('.ml-run')].map(run => [run.dataset.run, run.dataset.state])"
    return dict(page.execute_script(script))


def predictions(session, server, task: int) -> list:
    return session.get(f'{server.url}/api/tasks/{task}/').json()['predictions']


def test_photos_are_labeled_trained_and_predicted(server, page, photos, data_dir, tmp_path):
    from selenium.webdriver.common.by import By

    session = server.login()
    answer = session.patch(f'{server.url}/api/projects/1/', json={'label_config': CONFIG})
    assert answer.status_code == 200, answer.text
    tasks = {name: [upload(session, server, photo) for photo in found] for name, found in photos.items()}

    # Label: two in the editor, the others through the API that the editor uses.
    click_choice(page, session, server, tasks['mammal'][0], 'mammal')
    click_choice(page, session, server, tasks['bird'][0], 'bird')
    page.save_screenshot(str(tmp_path / '1-labeled.png'))
    for name, numbers in tasks.items():
        for number in numbers[1:8]:
            label(session, server, number, name)

    train(page, server)
    page.save_screenshot(str(tmp_path / '2-trained.png'))
    assert 'image_classifier-v1' in page.page_source or 'version 1' in page.page_source

    # An unlabeled photo opens with a prediction, in the API and in the editor.
    open_tasks = [number for numbers in tasks.values() for number in numbers[8:]]
    first = until(lambda: predictions(session, server, open_tasks[0]), 60, 1)[0]
    assert first['model_version'] == 'image_classifier-v1'
    right = [
        until(lambda task=number: predictions(session, server, task))[0]['result'][0]['value']['choices'] == [name]
        for name, numbers in tasks.items()
        for number in numbers[8:]
    ]
    assert sum(right) / len(right) >= 0.7
    page.get(f'{server.url}/projects/1/data?task={open_tasks[1]}')
    # The tab of the prediction carries the version and the score.
    tab = "return document.querySelector('.lsf-annotation-button:has([class*=userpic_pre])')?.innerText"
    assert '%' in until(lambda: page.execute_script(tab))
    chosen = "return document.querySelectorAll('.lsf-choice__item .ant-checkbox-checked').length"
    assert until(lambda: page.execute_script(chosen)) == 1
    page.save_screenshot(str(tmp_path / '3-predicted.png'))

    # More labels and another training: the new version answers without a restart.
    for name, numbers in tasks.items():
        for number in numbers[8:11]:
            label(session, server, number, name)
    train(page, server)
    target = tasks['bird'][12]
    until(lambda: [p for p in predictions(session, server, target) if p['model_version'] == 'image_classifier-v2'], 60)
    assert {p['model_version'] for p in predictions(session, server, target)} == {'image_classifier-v2'}

    # Off: nothing of it runs. On again: the versions are still there.
    page.get(f'{server.url}/projects/1/ml-backends/')
    click(page, '[data-backend=image_classifier] .ml-head .ml-switch.ml-on')
    until(
        lambda: page.find_elements(By.CSS_SELECTOR, '[data-backend=image_classifier] .ml-head .ml-switch:not(.ml-on)')
    )
    made = {item['model_version'] for item in predictions(session, server, tasks['food'][13])}
    assert 'image_classifier-v2' not in made
    click(page, '[data-backend=image_classifier] .ml-head .ml-switch:not(.ml-on)')
    until(lambda: page.find_elements(By.CSS_SELECTOR, '[data-backend=image_classifier] .ml-head .ml-switch.ml-on'))
    versions = session.get(f'{server.url}/api/projects/1/ml-backends/image_classifier/versions/').json()
    assert [version['number'] for version in versions] == [2, 1]
    until(lambda: [p for p in predictions(session, server, tasks['food'][13]) if p['model_version'].endswith('-v2')])
    page.save_screenshot(str(tmp_path / '4-on-again.png'))

    # The logs say what happened.
    log = subprocess.run(
        [PROGRAM, 'logs', '--training', '1', '--data-dir', data_dir], capture_output=True, text=True, timeout=60
    )
    assert log.returncode == 0
    assert log.stdout.strip()

    assert server.stop(signal.SIGINT) == 0
    until(lambda: not processes_of(data_dir), 20)


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running(data_dir, how):
    server = Server(data_dir).wait_until_ready()
    until(lambda: any('redis' in line or 'valkey' in line for line in processes_of(data_dir)))
    until(lambda: any(' worker' in line for line in processes_of(data_dir)), 30)
    server.stop(how)
    until(lambda: not processes_of(data_dir), 30)


def test_an_unknown_model_ends_the_command_with_one_sentence(data_dir):
    done = subprocess.run(
        [PROGRAM, 'start', 'x', '--init', '--ml-backend-name', 'nothing', '--data-dir', data_dir],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert 'nothing' in done.stderr
    assert 'image_classifier' in done.stderr
    assert 'Traceback' not in done.stderr
