"""The panel with the models in memory, in a browser: it follows the model while it is open, and rests when closed."""

import time

import pytest

from tests.e2e.browsing import click, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


def asked(browser) -> int:
    """How often the page has asked for the panel."""
    return browser.execute_script(
        "return performance.getEntriesByType('resource').filter((item) => item.name.endsWith('models.html')).length"
    )


def batches(browser, project: int) -> int:
    """The number of batches in the row of the project's model; 0 while there is no row."""
    return browser.execute_script(
        """const rows = [...document.querySelectorAll('.ml-page [data-model=demo]')];
        const own = rows.find((row) => row.cells[1].textContent.startsWith(arguments[0] + ' '));
        return own ? Number(own.cells[5].textContent) : 0;""",
        str(project),
    )


def test_the_panel_follows_the_models(workplace, tmp_path):
    browser = workplace.browser
    project = workplace.project('Moods', CONFIG)
    tasks = [
        workplace.call('POST', '/api/tasks/', 201, {'project': project, 'data': {'text': f'day {number}'}})['id']
        for number in range(3)
    ]
    assert workplace.opened(tasks[0])
    browser.get(f'{workplace.server.url}/projects/{project}/ml-backends/')
    until(lambda: browser.find_elements('css selector', '.ml-page #ml-models summary'))
    time.sleep(4)
    assert asked(browser) == 0
    click(browser, '.ml-page #ml-models summary')
    first = until(lambda: batches(browser, project), 10)
    workplace.picture('panel', tmp_path)
    text = browser.find_element('css selector', '.ml-page #ml-models').text
    assert 'Moods' in text and 'untrained' in text and 'ready' in text and 'Process ' in text
    assert workplace.opened(tasks[1]) and workplace.opened(tasks[2])
    until(lambda: batches(browser, project) >= first + 2, 15)
    click(browser, '.ml-page #ml-models summary')
    time.sleep(1)
    count = asked(browser)
    time.sleep(4)
    assert asked(browser) == count
