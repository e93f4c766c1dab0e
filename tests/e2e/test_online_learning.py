"""Learning while labeling as people see it: a real server and worker, a model that learns, a real browser."""

import random
import signal
from pathlib import Path

import pytest

from tests.e2e import learning_plugin
from tests.e2e.browsing import click, sign_in, until
from tests.e2e.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WORDS = {
    'sport': 'match goal team coach league striker referee stadium medal sprint tennis racket record fans cup',
    'music': 'song album guitar chorus drums concert singer melody piano tour band lyrics rhythm opera vinyl',
    'travel': 'flight hotel beach passport luggage island train museum guide border hostel ferry map visa cruise',
    '': 'the new last first week people great city report year story long over after best',
}
OTHERS = WORDS.pop('').split()
TOPICS = {topic: words.split() for topic, words in WORDS.items()}
CONFIG = '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{name}"/>' for name in TOPICS)
)
BACKEND = '/api/projects/1/ml-backends/word_counts/'
# Colours fade from one to the other, which no picture should catch.
STILL = """
document.adoptedStyleSheets = [new CSSStyleSheet()];
document.adoptedStyleSheets[0].replaceSync('* { transition: none !important }');
"""
PICKED = "return [...document.querySelectorAll('[data-pick]:checked')].map(box => box.value)"
CARD = '.ml-page [data-backend=word_counts]'


def texts(seed: int, count: int) -> list[tuple[str, str]]:
    """Texts with their topic; one word in five belongs to another topic."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        topic = draw.choice(list(TOPICS))
        kinds = [TOPICS[topic], TOPICS[topic], draw.choice([OTHERS, *TOPICS.values()]), OTHERS, OTHERS]
        found.append((' '.join(draw.choice(words) for words in kinds), topic))
    return found


def region(topic: str) -> dict:
    return {'from_name': 'topic', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [topic]}}


@pytest.fixture
def server(data_dir, tmp_path):
    site = learning_plugin.install(tmp_path / 'site')
    server = Server(data_dir, environment={'PYTHONPATH': str(site)})
    yield server.wait_until_ready()
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


class Lead:
    """Somebody who leads a project of texts: labels through the API that the editor uses, looks at the page."""

    def __init__(self, server: Server, page, folder: Path) -> None:
        self.server = server
        self.page = page
        self.folder = folder
        self.session = server.login()
        self.call('POST', '/api/projects/', 201, {'title': 'Topics', 'label_config': CONFIG})
        self.own = texts(1, 60)
        self.call('POST', '/api/projects/1/import', 201, [{'text': text} for text, _ in self.own])
        self.call('PATCH', BACKEND, 200, {'enabled': True, 'params': {'seconds': 4}})

    def call(self, method: str, path: str, expected: int, json: object = None):
        answer = self.session.request(method, f'{self.server.url}{path}', json=json)
        assert answer.status_code == expected, f'{method} {path}: {answer.status_code} {answer.text[:500]}'
        return answer.json()

    def label(self, first: int, last: int) -> None:
        """Label some of the tasks one after the other."""
        for number in range(first, last + 1):
            result = {'result': [region(self.own[number - 1][1])]}
            self.call('POST', f'/api/tasks/{number}/annotations/', 201, result)

    def disagree(self, task: int) -> None:
        """Open a task, and submit another topic than the one that is predicted."""
        found = until(lambda: self.call('GET', f'/api/tasks/{task}/', 200)['predictions'])
        predicted = found[-1]['result'][0]['value']['choices']
        other = next(topic for topic in TOPICS if topic not in predicted)
        self.call('POST', f'/api/tasks/{task}/annotations/', 201, {'result': [region(other)]})

    def bring_labeled(self, seed: int, count: int) -> None:
        """Import tasks that were labeled elsewhere."""
        tasks = [
            {'data': {'text': text}, 'annotations': [{'result': [region(topic)]}]} for text, topic in texts(seed, count)
        ]
        self.call('POST', '/api/projects/1/import', 201, tasks)

    def answered(self, task: int) -> str:
        """The version whose prediction an opened task carries first."""
        found = until(lambda: self.call('GET', f'/api/tasks/{task}/', 200)['predictions'])
        return max(found, key=lambda item: item['id'])['model_version']

    def versions(self) -> dict[int, str]:
        """State by number of the versions that the page shows; it is not loaded anew for this."""
        rows = "[...document.querySelectorAll('.ml-page [data-version]')]"
        script = f'return {rows}.map(row => [row.dataset.version, row.dataset.state])'
        return {int(number): state for number, state in self.page.execute_script(script)}

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


def switch_on(lead: Lead) -> None:
    """Switch it on, and say when: both on the page."""
    page = lead.page
    lead.open()
    click(page, f'{CARD} .ml-learning .ml-switch')
    until(lambda: 'It trains after 10 new labels, at most every minute.' in lead.text())
    click(page, f'{CARD} .ml-learning summary')
    fill(page, 'after_labels', '24')
    fill(page, 'every_minutes', '0')
    lead.picture('1-settings')
    click(page, f'{CARD} [data-save]')
    until(lambda: 'It trains after 24 new labels.' in lead.text())
    project = lead.call('GET', '/api/projects/1/', 200)
    assert project['min_annotations_to_start_training'] == 1


def people_label(lead: Lead) -> None:
    """The page follows, and a training begins, runs and ends by itself."""
    lead.label(21, 40)
    until(lambda: '20 of 24 new labels so far' in lead.text())
    lead.label(41, 44)
    until(lambda: lead.text('.ml-page [data-run][data-state=running]'), every=0.1)
    lead.picture('2-training')
    until(lambda: lead.versions() == {1: 'In service'})
    assert 'began by itself: 24 new labels' in lead.text() and '0 of 24 new labels so far' in lead.text()
    until(lambda: lead.answered(1) == 'word_counts-v1', 10)


def labels_come_in_bulk(lead: Lead) -> None:
    """They count as well; the curve grows."""
    page = lead.page
    lead.call('PATCH', BACKEND, 200, {'params': {'seconds': 0.5}})
    for seed, version in ((2, 2), (3, 3)):
        lead.bring_labeled(seed, 60)
        until(lambda version=version: lead.versions().get(version) == 'In service')
    assert lead.versions() == {3: 'In service', 2: 'Candidate', 1: 'Candidate'}
    until(lambda: marks(page) == [1, 2, 3])
    # The next task that is opened carries the new version's prediction.
    until(lambda: lead.answered(2) == 'word_counts-v3', 10)
    lead.picture('3-curve')


def a_version_is_held_back(lead: Lead) -> None:
    """One that is clearly worse stays a candidate, and the page says why."""
    lead.call('PATCH', BACKEND, 200, {'params': {'learns': 'another label'}})
    lead.bring_labeled(4, 24)
    why = until(lambda: lead.text('.ml-page [data-notice=held_back]'))
    assert 'Version 4 was not put in service.' in why and 'held-out tasks, p ' in why
    assert lead.versions()[3] == 'In service' and lead.versions()[4] == 'Candidate'
    lead.picture('4-held-back')


def two_are_compared(lead: Lead) -> None:
    """Any two can be chosen; what is behind the figures can be looked at task by task."""
    page = lead.page
    for number in (1, 2, 4):
        click(page, f'#ml-pick-word_counts-{number}')
    assert page.execute_script(PICKED) == ['4', '2']
    assert page.find_element('css selector', f'{CARD} [data-compare]').is_enabled()
    click(page, '.ml-page [data-notice=held_back] a', 'Compare')
    until(lambda: 'Version 3 is better than version 4' in lead.text('.ml-page [data-verdict]'))
    assert all(topic in lead.text('.ml-page .ml-classes') for topic in TOPICS)
    lead.picture('5-compare')
    link = page.find_element('css selector', '.ml-page [data-task] a').get_attribute('href')
    number = int(link.partition('task=')[2])
    assert lead.call('GET', f'/api/tasks/{number}/', 200)['annotations']


def versions_are_kept_in_order(lead: Lead) -> None:
    """Put one aside, delete one, move one to where it could be another server, and go back to it."""
    page = lead.page
    lead.open()
    click(page, '.ml-page [data-notice=held_back] button', 'Archive')
    until(lambda: lead.versions().get(4) == 'Archived' and not lead.text('.ml-page [data-notice]'))
    click(page, '.ml-page [data-version="2"] .ml-pop > summary')
    lead.picture('6-menu')
    click(page, '.ml-page [data-version="2"] .ml-pop[open] [data-do=delete-version]')
    page.switch_to.alert.accept()
    until(lambda: 2 not in lead.versions())
    address = page.find_element('css selector', '.ml-page [data-version="1"] a[download]').get_attribute('href')
    downloaded = lead.session.get(address)
    assert downloaded.status_code == 200, downloaded.text[:500]
    package = lead.folder / 'version-1.zip'
    package.write_bytes(downloaded.content)
    click(page, f'{CARD} .ml-pop > summary', 'Upload a version')
    page.find_element('css selector', f'{CARD} .ml-upload [type=file]').send_keys(str(package))
    click(page, f'{CARD} .ml-upload button')
    until(lambda: lead.versions() == {5: 'Candidate', 4: 'Archived', 3: 'In service', 1: 'Candidate'})
    click(page, '.ml-page [data-version="5"] [data-do=put-in-service]')
    until(lambda: lead.versions() == {5: 'In service', 4: 'Archived', 3: 'Candidate', 1: 'Candidate'})
    until(lambda: lead.answered(3) == 'word_counts-v5')
    lead.picture('7-put-back')


def people_disagree(lead: Lead) -> None:
    """The server goes back by itself, and says so."""
    page = lead.page
    lead.call('PATCH', BACKEND, 200, {'learning': {'roll_back': True, 'after_labels': 1000}})
    for number in range(1, 21):
        lead.disagree(number)
    why = until(lambda: lead.text('.ml-page [data-notice=rolled_back]'))
    assert 'Rolled back to version 3.' in why and 'version 5 to 0.00 (20 annotations)' in why
    assert lead.versions() == {5: 'Candidate', 4: 'Archived', 3: 'In service', 1: 'Candidate'}
    page.execute_script('scrollTo(0, 0)')
    lead.picture('8-rolled-back')


def fill(page, name: str, value: str) -> None:
    """Write into a field of the settings."""
    field = page.find_element('css selector', f'{CARD} .ml-settings [name={name}]')
    field.clear()
    field.send_keys(value)


def marks(page) -> list[int]:
    """Versions that stand in the learning curve."""
    script = "return [...document.querySelectorAll('.ml-page [data-mark]')].map(mark => Number(mark.dataset.mark))"
    return sorted(page.execute_script(script))


@pytest.fixture
def lead(server, browser, tmp_path):
    sign_in(browser, server)
    browser.set_window_size(1400, 1700)
    lead = Lead(server, browser, tmp_path)
    yield lead
    lead.picture('end')
    (tmp_path / 'server.log').write_text(server.output)


def test_a_project_learns_while_people_label(lead):
    switch_on(lead)
    people_label(lead)
    labels_come_in_bulk(lead)
    a_version_is_held_back(lead)
    two_are_compared(lead)
    versions_are_kept_in_order(lead)
    people_disagree(lead)
