"""One running server with a lead who uses it: through the API that the pages use, and in a browser."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.e2e.browsing import click, sign_in, until
from tests.e2e.server import PROGRAM, Server

COLOUR_CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="red"/><Choice value="blue"/></Choices></View>'
)


class Workplace:
    """A server, a session of its first user, and the browser in front of them."""

    def __init__(self, server: Server, data_dir: Path, browser) -> None:
        self.server = server
        self.data_dir = data_dir
        self.browser = browser
        self.session = server.login()
        sign_in(browser, server)

    def call(self, method: str, path: str, expected: int, json: object = None):
        answer = self.session.request(method, f'{self.server.url}{path}', json=json)
        assert answer.status_code == expected, f'{method} {path}: {answer.status_code} {answer.text[:500]}'
        return answer.json()

    def project(self, title: str, label_config: str = COLOUR_CONFIG) -> int:
        return self.call('POST', '/api/projects/', 201, {'title': title, 'label_config': label_config})['id']

    def task(self, project: int, image: str) -> int:
        return self.call('POST', '/api/tasks/', 201, {'project': project, 'data': {'image': image}})['id']

    def label(self, task: int, choice: str) -> None:
        region = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [choice]}}
        self.call('POST', f'/api/tasks/{task}/annotations/', 201, {'result': [region]})

    def opened(self, task: int) -> list:
        """The predictions that an opened task carries."""
        return self.call('GET', f'/api/tasks/{task}/', 200)['predictions']

    def annotations(self, tasks) -> int:
        return sum(len(self.call('GET', f'/api/tasks/{task}/', 200)['annotations']) for task in tasks)

    def change(self, project: int, backend: str, **change) -> dict:
        return self.call('PATCH', f'/api/projects/{project}/ml-backends/{backend}/', 200, change)

    def state(self, project: int, backend: str) -> dict:
        return self.call('GET', f'/api/projects/{project}/ml-backends/{backend}/', 200)

    def train(self, project: int, backend: str = 'demo', seconds: float = 60) -> dict:
        """Train and wait for the end of the run."""
        path = f'/api/projects/{project}/ml-backends/{backend}'
        run = self.call('POST', f'{path}/train/', 202)['id']

        def ended():
            found = self.call('GET', f'{path}/runs/{run}/', 200)
            return found if found['state'] not in ('queued', 'running') else None

        return until(ended, seconds, 0.2)

    def card(self, project: int, backend: str, *open_first: str) -> str:
        """What a person reads on the backend's card of the ML backends page; `open_first` are headings to click."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.common.by import By

        selector = f'.ml-page [data-backend={backend}]'

        def text():
            try:
                return self.browser.find_element(By.CSS_SELECTOR, selector).text
            except StaleElementReferenceException:
                # The shell has just put the page in its place.
                return ''

        self.browser.get(f'{self.server.url}/projects/{project}/ml-backends/')
        until(lambda: self.browser.find_elements(By.CSS_SELECTOR, selector))
        for heading in open_first:
            click(self.browser, f'{selector} summary', heading)
        return until(text)

    def shown(self, project: int, backend: str, words: str, seconds: float = 10) -> str:
        """The card's text once it has these words; failures are stored by a thread of their own."""
        end = time.monotonic() + seconds
        while words not in (text := self.card(project, backend)):
            assert time.monotonic() < end, f'{words!r} is not in:\n{text}'
        return text

    def logs(self, *arguments: str) -> str:
        """What `label-studio logs` prints."""
        command = [PROGRAM, 'logs', '--lines', '100000', '--data-dir', self.data_dir, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def picture(self, name: str, folder: Path) -> None:
        """Keep a screenshot of what the browser shows."""
        self.browser.save_screenshot(str(folder / f'{name}.png'))
