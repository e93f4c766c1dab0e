"""Active learning as people see it: switched on on the page, served by upstream's own button, and judged."""

from pathlib import Path

import numpy as np
import pytest

from tests.e2e.browsing import click, until
from tests.e2e.workplace import Workplace

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


class Lead:
    """Somebody who leads a project: looks at the pages, and labels through the API that the editor uses."""

    def __init__(self, workplace: Workplace, folder: Path) -> None:
        self.workplace, self.page, self.folder = workplace, workplace.browser, folder
        self.project = workplace.project('Places', CONFIG)
        self.backend = f'/api/projects/{self.project}/ml-backends/places/'
        rng = np.random.default_rng(1)
        truth = rng.integers(0, 4, 300)
        places = 4 * np.eye(4)[truth] + 1.5 * rng.normal(size=(300, 4))
        texts = [' '.join(f'{value:.3f}' for value in place) for place in places]
        self.truth = {text: NAMES[row] for text, row in zip(texts, truth, strict=True)}
        self.call('POST', f'/api/projects/{self.project}/import', 201, [{'text': text} for text in texts])
        self.call('PATCH', self.backend, 200, {'enabled': True})

    def call(self, method: str, path: str, expected: int, json: object = None):
        return self.workplace.call(method, path, expected, json)

    def sampling(self) -> dict:
        """What the API says of active learning."""
        return self.call('GET', f'{self.backend}sampling/', 200)

    def label_next(self) -> None:
        """Ask for a task and label it."""
        task = self.call('GET', f'/api/projects/{self.project}/next/', 200)
        region = {'from_name': 'place', 'to_name': 'text', 'type': 'choices'}
        region['value'] = {'choices': [self.truth[task['data']['text']]]}
        self.call('POST', f'/api/tasks/{task["id"]}/annotations/', 201, {'result': [region]})

    def text(self, selector: str = CARD) -> str:
        """What a person reads there; empty when it is not there."""
        return self.page.execute_script('return document.querySelector(arguments[0])?.innerText ?? ""', selector)

    def open(self, path: str = 'ml-backends/', wait_for: str = CARD) -> None:
        self.page.get(f'{self.workplace.server.url}/projects/{self.project}/{path}')
        until(lambda: self.text(wait_for))

    def picture(self, name: str) -> None:
        """What the browser shows, by night and by day."""
        self.page.execute_script(STILL)
        for theme in ('dark', 'light'):
            self.page.execute_script('document.documentElement.dataset.colorScheme = arguments[0]', theme)
            self.page.save_screenshot(str(self.folder / f'{name}-{theme}.png'))


@pytest.fixture
def lead(workplace, tmp_path):
    size = workplace.browser.get_window_size()
    workplace.browser.set_window_size(1400, 1700)
    lead = Lead(workplace, tmp_path)
    yield lead
    lead.picture('end')
    workplace.browser.set_window_size(size['width'], size['height'])


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
    lead.open('data', '[class*=table]')
    click(page, 'button', 'Label')
    until(lambda: lead.sampling()['served'].get('queue') == 1)
    shown = until(lambda: lead.text('.lsf-editor, [class*=editor]'))
    # The task is held by who opened it: the API gives the same one.
    assert lead.call('GET', f'/api/projects/{lead.project}/next/', 200)['data']['text'] in shown
    lead.picture('2-label-all-tasks')


def people_label(lead: Lead) -> None:
    """The panel fills by itself: a sentence, both curves, labels saved, and the advice to stop."""
    lead.open()
    while lead.sampling()['served']['explored'] < FEWEST_RANDOM + 3 or lead.sampling()['served']['queue'] < 60:
        for _ in range(5):
            lead.label_next()
    until(lambda: 'labels saved' in lead.text(f'{CARD} [data-sentence]'))
    assert lead.page.find_elements('css selector', f'{CARD} [data-line=active]')
    until(lambda: '50 labels are given' in lead.text(f'{CARD} [data-notice=sampling_stop]'))
    lead.page.execute_script("document.querySelector('.ml-sampling').scrollIntoView()")
    lead.picture('3-panel')
    assert lead.sampling()['findings']['arms']['active'][-1]['labels'] >= 50


def test_active_learning_is_switched_on_and_judged(lead):
    switch_on(lead)
    label_all_tasks(lead)
    people_label(lead)
