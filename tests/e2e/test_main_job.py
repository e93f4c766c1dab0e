"""The main job with the real command, a real worker, real photos and a real browser."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.server import PROGRAM, Server, processes_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLASSES = ('mammals', 'birds', 'food', 'vehicles')
CONFIG = '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{name}"/>' for name in CLASSES)
)


def until(check, seconds=60, every=0.3):
    """Wait until `check` gives something true, and return that."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f'still {found!r} after {seconds} s'
        time.sleep(every)


@pytest.fixture
def photos():
    """Real photos of four classes: {class: [paths]}."""
    from tests.assets.tux_paint import photos_by_class

    found = photos_by_class()
    return {name: found[name][:14] for name in CLASSES}


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
    from selenium.webdriver.common.by import By

    from tests.e2e.server import EMAIL, PASSWORD

    browser.get(f'{server.url}/user/login/')
    until(lambda: browser.find_elements(By.NAME, 'email'))
    browser.find_element(By.NAME, 'email').send_keys(EMAIL)
    browser.find_element(By.NAME, 'password').send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, '[type=submit]').click()
    until(lambda: '/user/login' not in browser.current_url)
    return browser


def upload(session, server, path: Path) -> int:
    with path.open('rb') as file:
        answer = session.post(f'{server.url}/api/projects/1/import?return_task_ids=true', files={'file': file})
    assert answer.status_code == 201, answer.text
    return answer.json()['task_ids'][0]


def label(session, server, task: int, name: str) -> None:
    region = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [name]}}
    answer = session.post(f'{server.url}/api/tasks/{task}/annotations/', json={'result': [region]})
    assert answer.status_code == 201, answer.text


def click_choice(page, server, task: int, name: str) -> None:
    """Label a task in Label Studio's own editor."""
    from selenium.webdriver.common.by import By

    page.get(f'{server.url}/projects/1/data?task={task}')
    choice = until(lambda: [e for e in page.find_elements(By.CSS_SELECTOR, '.lsf-choice__item') if name in e.text])
    choice[0].click()
    page.find_element(By.CSS_SELECTOR, '[aria-label="Submit current annotation"]').click()
    until(lambda: page.find_elements(By.CSS_SELECTOR, '[aria-label^="Update"]'))


def train(page, server) -> None:
    """Press Train on the ML backends page and watch the run end."""
    from selenium.webdriver.common.by import By

    page.get(f'{server.url}/projects/1/ml-backends/')
    button = until(lambda: [b for b in page.find_elements(By.CSS_SELECTOR, '.ml-primary') if b.text == 'Train'])
    before = len(page.find_elements(By.CSS_SELECTOR, '.ml-run'))
    button[0].click()
    until(lambda: page.find_elements(By.CSS_SELECTOR, '.ml-run:not([data-state=finished])') or before, 15, 0.1)

    def state():
        page.refresh()
        until(lambda: page.find_elements(By.CSS_SELECTOR, '.ml-run'))
        found = page.find_elements(By.CSS_SELECTOR, '.ml-run')[0].get_attribute('data-state')
        assert found not in ('failed', 'cancelled'), page.page_source
        return found == 'finished'

    until(state, 120, 2)


def predictions(session, server, task: int) -> list:
    return session.get(f'{server.url}/api/tasks/{task}/').json()['predictions']


def test_photos_are_labeled_trained_and_predicted(server, page, photos, data_dir, tmp_path):
    from selenium.webdriver.common.by import By

    session = server.login()
    answer = session.patch(f'{server.url}/api/projects/1/', json={'label_config': CONFIG})
    assert answer.status_code == 200, answer.text
    tasks = {name: [upload(session, server, path) for path in paths] for name, paths in photos.items()}

    # Label: two in the editor, the others through the API that the editor uses.
    click_choice(page, server, tasks['mammals'][0], 'mammals')
    click_choice(page, server, tasks['birds'][0], 'birds')
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
        predictions(session, server, number)[0]['result'][0]['value']['choices'] == [name]
        for name, numbers in tasks.items()
        for number in numbers[8:]
    ]
    assert sum(right) / len(right) >= 0.7
    page.get(f'{server.url}/projects/1/data?task={open_tasks[1]}')
    until(lambda: 'image_classifier' in page.find_element(By.TAG_NAME, 'body').text)
    chosen = until(lambda: page.find_elements(By.CSS_SELECTOR, '.lsf-choice__item .ant-checkbox-checked'))
    assert len(chosen) == 1
    page.save_screenshot(str(tmp_path / '3-predicted.png'))

    # More labels and another training: the new version answers without a restart.
    for name, numbers in tasks.items():
        for number in numbers[8:11]:
            label(session, server, number, name)
    train(page, server)
    target = tasks['birds'][12]
    until(lambda: [p for p in predictions(session, server, target) if p['model_version'] == 'image_classifier-v2'], 60)
    assert {p['model_version'] for p in predictions(session, server, target)} == {'image_classifier-v2'}

    # Off: nothing of it runs. On again: the versions are still there.
    page.get(f'{server.url}/projects/1/ml-backends/')
    until(lambda: page.find_elements(By.CSS_SELECTOR, '[data-backend=image_classifier] .ml-switch.ml-on'))[0].click()
    until(lambda: page.find_elements(By.CSS_SELECTOR, '[data-backend=image_classifier] .ml-switch:not(.ml-on)'))
    assert predictions(session, server, tasks['food'][13]) == []
    page.find_element(By.CSS_SELECTOR, '[data-backend=image_classifier] .ml-switch').click()
    until(lambda: page.find_elements(By.CSS_SELECTOR, '[data-backend=image_classifier] .ml-switch.ml-on'))
    versions = session.get(f'{server.url}/api/projects/1/ml-backends/image_classifier/versions/').json()
    assert [version['number'] for version in versions] == [2, 1]
    assert until(lambda: predictions(session, server, tasks['food'][13]))[0]['model_version'] == 'image_classifier-v2'
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
