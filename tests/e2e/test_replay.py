"""Replay and label errors as a lead sees them: a real server and worker, and a real browser."""

import random

import pytest

from tests.e2e.browsing import click, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_WORDS = {
    'sport': 'match goal team coach league striker referee stadium medal sprint tennis racket record fans cup',
    'music': 'song album guitar chorus drums concert singer melody piano tour band lyrics rhythm opera vinyl',
    'travel': 'flight hotel beach passport luggage island train museum guide border hostel ferry map visa cruise',
    'food': 'soup bread oven recipe salt pepper cheese butter grill onion garlic sauce flour sugar dessert',
}
WORDS = {topic: words.split() for topic, words in _WORDS.items()}
CONFIG = '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{name}"/>' for name in WORDS)
)
CARD = '.ml-page [data-backend=demo]'
COUNT, FLIPPED = 160, 12


def texts() -> list[tuple[str, str]]:
    """Texts with their topic; two words of five belong to any topic."""
    draw = random.Random(1)
    every = [word for words in WORDS.values() for word in words]
    found = []
    for _ in range(COUNT):
        topic = draw.choice(list(WORDS))
        words = [draw.choice(WORDS[topic]) for _ in range(3)] + [draw.choice(every) for _ in range(2)]
        found.append((' '.join(draw.sample(words, len(words))), topic))
    return found


def element(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_elements(By.CSS_SELECTOR, f'{CARD} {selector}')


def labeled_tasks(found, wrong=0):
    """Tasks to import; so many of the first have another label than their topic."""
    draw, tasks = random.Random(2), []
    for number, (text, topic) in enumerate(found):
        given = draw.choice([name for name in WORDS if name != topic]) if number < wrong else topic
        region = {'from_name': 'topic', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [given]}}
        tasks.append({'data': {'text': text}, 'annotations': [{'result': [region]}]})
    return tasks


@pytest.fixture(scope='module')
def labeled(workplace):
    """A project of texts with a version that learned from half of their labels; in the others are wrong ones."""
    project = workplace.project('Topics', CONFIG)
    found = texts()
    path = f'/api/projects/{project}/import'
    workplace.call('POST', path, 201, labeled_tasks(found[: COUNT // 2]))
    assert workplace.train(project)['state'] == 'finished'
    workplace.call('POST', path, 201, labeled_tasks(found[COUNT // 2 :], wrong=FLIPPED))
    return project


def picture(workplace, name, section, folder):
    """Keep what a person sees of a section."""
    workplace.browser.set_window_size(1400, 1300)
    script = 'document.querySelector(arguments[0]).scrollIntoView(); window.scrollBy(0, -80)'
    workplace.browser.execute_script(script, f'{CARD} {section}')
    workplace.picture(name, folder)


def test_a_lead_replays_and_takes_a_strategy(workplace, labeled, tmp_path):
    browser = workplace.browser
    workplace.card(labeled, 'demo', 'Replay')
    click(browser, f'{CARD} [data-run-replay]')
    until(lambda: element(browser, '[data-replay]'))
    until(lambda: element(browser, '[data-replay][data-state=finished]'), 120)
    until(lambda: element(browser, '[data-line=automatic]'))
    (verdict,) = element(browser, '[data-verdict]')
    assert 'random' in verdict.text
    assert {row.get_attribute('data-strategy') for row in element(browser, '[data-strategy]')} == {
        'automatic',
        'margin',
        'random',
    }
    picture(workplace, 'replay', '.ml-replay', tmp_path)
    click(browser, f'{CARD} [data-use=margin]')
    until(lambda: not element(browser, '[data-use=margin]'))
    assert workplace.state(labeled, 'demo')['sampling']['strategy'] == 'margin'


def test_a_lead_finds_wrong_labels(workplace, labeled, tmp_path):
    browser = workplace.browser
    workplace.card(labeled, 'demo', 'Label errors')
    click(browser, f'{CARD} [data-look]')
    until(lambda: element(browser, '[data-suspect]'), 60)
    listed = [int(row.get_attribute('data-suspect')) for row in element(browser, '[data-suspect]')]
    tasks = workplace.call('GET', f'/api/tasks/?project={labeled}&page_size=1000', 200)['tasks']
    wrong = sorted(task['id'] for task in tasks)[COUNT // 2 : COUNT // 2 + FLIPPED]
    assert len(set(listed) & set(wrong)) >= 0.6 * FLIPPED
    picture(workplace, 'label_errors', '.ml-label-errors', tmp_path)
    click(browser, f'{CARD} [data-suspect="{listed[0]}"] [data-verdict=right]')
    until(lambda: element(browser, '[data-settled]'))
    assert not element(browser, f'[data-suspect="{listed[0]}"]')
    # The section stays unfolded when the card is drawn anew.
    assert element(browser, f'[data-suspect="{listed[1]}"]')[0].is_displayed()
