"""Active learning as people see it: switched on on the page, served by upstream's own button, and judged."""

import signal
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import sampling_plugin
from tests.e2e.browsing import click, sign_in, until
from tests.e2e.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = ('north', 'east', 'south', 'west')
CONFIG = '<View><Text name="text" value="$text"/><Choices name="place" toName="text">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{name}"/>' for name in NAMES)
)
BACKEND = '/api/projects/1/ml-backends/places/'
CARD = '.ml-page [data-backend=places]'
# Colours fade from one to the other, which no picture should catch.
STILL = """
document.adoptedStyleSheets = [new CSSStyleSheet()];
document.adoptedStyleSheets[0].replaceSync('* { transition: none !important }');
"""
FEWEST_RANDOM = 20


@pytest.fixture(scope='module')
def server(tmp_path_factory, migrated_database):
    import shutil

    folder = tmp_path_factory.mktemp('active')
    (folder / 'data').mkdir()
    shutil.copy(migrated_database, folder / 'data' / 'label_studio.sqlite3')
    site = sampling_plugin.install(folder / 'site')
    server = Server(folder / 'data', environment={'PYTHONPATH': str(site)})
    yield server.wait_until_ready()
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


class Lead:
    """Somebody who leads a project: looks at the pages, and labels through the API that the editor uses."""

    def __init__(self, server: Server, page, folder: Path) -> None:
        self.server, self.page, self.folder = server, page, folder
        self.session = server.login()
        self.call('POST', '/api/projects/', 201, {'title': 'Places', 'label_config': CONFIG})
        rng = np.random.default_rng(1)
        self.truth = rng.integers(0, 4, 300)
        places = 4 * np.eye(4)[self.truth] + 1.5 * rng.normal(size=(300, 4))
        texts = [{'text': ' '.join(f'{value:.3f}' for value in place)} for place in places]
        self.call('POST', '/api/projects/1/import', 201, texts)
        self.call('PATCH', BACKEND, 200, {'enabled': True})

    def call(self, method: str, path: str, expected: int, json: object = None):
        answer = self.session.request(method, f'{self.server.url}{path}', json=json)
        assert answer.status_code == expected, f'{method} {path}: {answer.status_code} {answer.text[:500]}'
        return answer.json()

    def sampling(self) -> dict:
        """What the API says of active learning."""
        return self.call('GET', f'{BACKEND}sampling/', 200)

    def label_next(self) -> None:
        """Ask for a task and label it."""
        task = self.call('GET', '/api/projects/1/next/', 200)['id']
        region = {'from_name': 'place', 'to_name': 'text', 'type': 'choices'}
        region['value'] = {'choices': [NAMES[self.truth[task - 1]]]}
        self.call('POST', f'/api/tasks/{task}/annotations/', 201, {'result': [region]})

    def text(self, selector: str = CARD) -> str:
        """What a person reads there; empty when it is not there."""
        return self.page.execute_script('return document.querySelector(arguments[0])?.innerText ?? ""', selector)

    def open(self, path: str = '/projects/1/ml-backends/', wait_for: str = CARD) -> None:
        self.page.get(f'{self.server.url}{path}')
        until(lambda: self.text(wait_for))

    def picture(self, name: str) -> None:
        """What the browser shows, by night and by day."""
        self.page.execute_script(STILL)
        for theme in ('dark', 'light'):
            self.page.execute_script('document.documentElement.dataset.colorScheme = arguments[0]', theme)
            self.page.save_screenshot(str(self.folder / f'{name}-{theme}.png'))


@pytest.fixture
def lead(server, browser, tmp_path):
    sign_in(browser, server)
    browser.set_window_size(1400, 1700)
    lead = Lead(server, browser, tmp_path)
    yield lead
    lead.picture('end')
    (tmp_path / 'server.log').write_text(server.output)


def fill(page, name: str, value: str) -> None:
    """Write into a field of the settings."""
    field = page.find_element('css selector', f'{CARD} .ml-sampling [name={name}]')
    field.clear()
    field.send_keys(value)


def switch_on(lead: Lead) -> None:
    """On the page: the switch, how much is left to chance, and what it may cost."""
    page = lead.page
    lead.open()
    click(page, f'{CARD} .ml-sampling .ml-switch')
    until(lambda: page.find_elements('css selector', f'{CARD} [data-samples=on]'))
    until(lambda: lead.sampling()['scored'] == 300)
    lead.open()
    click(page, f'{CARD} .ml-sampling > details > summary')
    strategies = page.find_element('css selector', f'{CARD} [name=strategy]').text
    assert 'Core-set' in strategies and 'MNLP — The ML backend gives no log-probabilities of tokens.' in strategies
    fill(page, 'explore_percent', '40')
    fill(page, 'batch', '20')
    click(page, f'{CARD} .ml-sampling [value=budget]')
    fill(page, 'criterion-budget-labels', '50')
    lead.picture('1-settings')
    click(page, f'{CARD} .ml-sampling [data-save]')
    until(lambda: lead.sampling()['stop'].get('budget') == {'labels': 50})
    until(lambda: 'typical tasks' in lead.text().lower() or 'TypiClust' in lead.text())


def label_all_tasks(lead: Lead) -> None:
    """Upstream's own button opens the task that was chosen first."""
    page = lead.page
    until(lambda: lead.sampling()['waiting'] >= 20)
    lead.open('/projects/1/data', '.lsf-table, .dm-table, [class*=table]')
    click(page, 'button', 'Label')
    until(lambda: lead.sampling()['served'].get('queue') == 1)
    until(lambda: lead.text('.lsf-editor, [class*=editor]'))
    lead.picture('2-label-all-tasks')


def people_label(lead: Lead) -> None:
    """The panel fills by itself: a sentence, both curves, labels saved, and the advice to stop."""
    lead.open()
    while lead.sampling()['served']['explored'] < FEWEST_RANDOM + 3 or lead.sampling()['served']['queue'] < 60:
        for _ in range(5):
            lead.label_next()
    until(lambda: 'labels saved' in lead.text(f'{CARD} [data-sentence]'))
    assert lead.page.find_elements('css selector', f'{CARD} [data-arm=active]')
    until(lambda: '50 labels are given' in lead.text(f'{CARD} [data-notice=sampling_stop]'))
    lead.page.execute_script("document.querySelector('.ml-sampling').scrollIntoView()")
    lead.picture('3-panel')
    assert lead.sampling()['findings']['arms']['active'][-1]['labels'] >= 50


def test_active_learning_is_switched_on_and_judged(lead):
    switch_on(lead)
    label_all_tasks(lead)
    people_label(lead)
