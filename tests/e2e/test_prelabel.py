"""Pre-labeling as people do it: a real server, a model that takes its time, a real browser."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e import slow_plugin
from tests.e2e.browsing import click, sign_in, until
from tests.e2e.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TASKS = 300
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="animal" toName="text">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)
REGION = {'from_name': 'animal', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['dog']}}
GUIDE = Path(__file__).resolve().parents[2] / 'docs' / 'quick-start.md'


@pytest.fixture
def site(tmp_path):
    """Where the slow plugin is installed: 30 batches of 0.4 s."""
    return slow_plugin.install(tmp_path / 'site', 0.4)


@pytest.fixture
def server(data_dir, site):
    server = Server(data_dir, environment={'PYTHONPATH': str(site)})
    yield server.wait_until_ready()
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


@pytest.fixture
def session(server):
    """The owner's session, with a project of 300 tasks on which the plugin is enabled; one task is labeled."""
    session = server.login()
    project = session.post(f'{server.url}/api/projects/', json={'title': 'Animals', 'label_config': CONFIG}).json()
    assert project['id'] == 1
    tasks = [{'text': f'animal {number}'} for number in range(TASKS)]
    assert session.post(f'{server.url}/api/projects/1/import', json=tasks).status_code == 201
    answer = session.patch(f'{server.url}/api/projects/1/ml-backends/slow_cats/', json={'enabled': True})
    assert answer.status_code == 200, answer.text
    assert session.post(f'{server.url}/api/tasks/1/annotations/', json={'result': [REGION]}).status_code == 201
    return session


@pytest.fixture
def page(browser, server):
    """The browser, logged in through the login page."""
    sign_in(browser, server)
    return browser


def runs(session, server) -> list[dict]:
    return session.get(f'{server.url}/api/projects/1/ml-backends/slow_cats/prelabel-runs/').json()


def predictions(session, server) -> int:
    return session.get(f'{server.url}/api/projects/1/').json()['total_predictions_number']


def bar(page) -> str:
    """What the Data Manager's header says of the pre-labeling; empty when there is nothing."""
    return page.execute_script("return document.querySelector('.ml-prelabel-bar')?.innerText ?? ''")


def shown_run(page) -> dict[str, str]:
    """The newest run as the ML backends page shows it."""
    return page.execute_script(
        """
        const run = document.querySelector('[data-prelabel]');
        if (!run) return {};
        return {state: run.dataset.state, counts: run.querySelector('[data-counts]').innerText, text: run.innerText};
        """
    )


def select_all(page, server) -> None:
    page.get(f'{server.url}/projects/1/data')
    click(page, '[aria-label="Select all rows"]')
    until(lambda: page.execute_script('return document.querySelector(\'[aria-label="Tasks Actions"]\').innerText'))
    click(page, '[aria-label="Tasks Actions"]', f'{TASKS} Tasks')


def choose(page, field: str, text: str) -> None:
    """Choose in one of the dialog's selects."""
    click(page, f'button[data-name="{field}"]')
    click(page, '[role="option"]', text)


def scores(page) -> list[float]:
    """The score column from the top, as far as it is drawn; no other column shows numbers with a point."""
    rows = page.execute_script(
        "return [...document.querySelectorAll('[data-testid=table-row]')].map(row => row.innerText)"
    )
    return [float(found.group()) for found in (re.search(r'\b[01]\.\d+\b', row) for row in rows) if found]


def test_a_person_prelabels_and_watches(server, session, page, site, tmp_path):
    # Start from the Data Manager; the answer comes at once, and the header follows the run.
    select_all(page, server)
    click(page, '[aria-label="Pre-label with…"]')
    choose(page, 'skip', 'Skip labeled tasks')
    page.save_screenshot(str(tmp_path / '1-dialog.png'))
    click(page, 'button', 'OK')
    said = f'Pre-labeling of {TASKS} tasks has started; see its progress on the ML backends page'
    until(lambda: said in page.find_element('tag name', 'body').text, 10, 0.1)
    first = until(lambda: re.search(r'Pre-labeling (\d+)% · (\d+)/300', bar(page)), 20, 0.1)
    page.save_screenshot(str(tmp_path / '2-started.png'))
    until(lambda: int(re.search(r'(\d+)/300', bar(page)).group(1)) > int(first.group(2)), 20, 0.2)

    # Its link leads to the ML backends page, which follows it too; stop it there.
    click(page, '.ml-prelabel-bar')
    before = until(lambda: shown_run(page).get('state') == 'running' and shown_run(page)['counts'], 20, 0.1)
    until(lambda: shown_run(page)['counts'] != before, 10, 0.1)
    page.save_screenshot(str(tmp_path / '3-page.png'))
    click(page, '[data-do="prelabel-cancel"]')
    until(lambda: shown_run(page)['state'] == 'cancelled', 20, 0.2)
    stopped = predictions(session, server)
    assert 0 < stopped < TASKS
    page.save_screenshot(str(tmp_path / '4-cancelled.png'))

    # Go on where it stopped.
    click(page, '[data-do="prelabel-resume"]')
    until(lambda: shown_run(page)['state'] == 'finished', 60, 0.2)
    assert '296 done, 1 skipped, 3 failed of 300 tasks' in shown_run(page)['counts']
    assert predictions(session, server) == 296
    page.execute_script("document.querySelector('.ml-prelabel details').open = true")
    page.save_screenshot(str(tmp_path / '5-finished.png'))
    assert 'picture 107 has no whiskers' in shown_run(page)['text']
    links = "return [...document.querySelectorAll('.ml-failed a')].map(link => link.getAttribute('href'))"
    assert [link.partition('task=')[2] for link in page.execute_script(links)] == ['8', '108', '208']

    # Mend the cause and try those again.
    slow_plugin.mend(site)
    click(page, '[data-do="prelabel-retry"]')
    until(lambda: 'Earlier runs' in page.find_element('tag name', 'body').text, 20)
    until(lambda: shown_run(page)['state'] == 'finished', 30, 0.2)
    assert '3 done of 3 tasks' in shown_run(page)['counts']
    assert predictions(session, server) == 299
    page.save_screenshot(str(tmp_path / '6-retried.png'))
    assert [(run['state'], run['created_by']) for run in runs(session, server)] == [('finished', 1)] * 2

    # The Data Manager has the scores, in order; nothing is shown of a pre-labeling that has ended.
    hidden = {'explore': ['tasks:inner_id'], 'labeling': ['tasks:inner_id']}
    data = {'title': 'By score', 'ordering': ['-tasks:predictions_score'], 'hiddenColumns': hidden}
    tab = session.post(f'{server.url}/api/dm/views/', json={'project': 1, 'data': data}).json()['id']
    page.get(f'{server.url}/projects/1/data?tab={tab}')
    found = until(lambda: len(scores(page)) >= 5 and scores(page))
    page.save_screenshot(str(tmp_path / '7-scores.png'))
    assert found[:5] == [0.99, 0.99, 0.99, 0.98, 0.98]
    assert bar(page) == ''
    tasks = session.get(f'{server.url}/api/tasks?project=1&view={tab}&page=1&page_size=10').json()['tasks']
    one = session.get(f'{server.url}/api/tasks/{tasks[0]["id"]}/').json()['predictions']
    assert [item['model_version'] for item in one] == ['slow_cats-v0']


def test_the_table_is_refreshed_at_the_end(server, session, page):
    page.get(f'{server.url}/projects/1/data')
    summary = 'return document.body.innerText.match(/Predictions: (\\d+)/)?.[1]'
    until(lambda: page.execute_script(summary) == '0')
    # Somebody else starts it; the open Data Manager finds out by itself.
    answer = session.post(
        f'{server.url}/api/projects/1/ml-backends/slow_cats/prelabel-runs/', json={'task_ids': list(range(11, 41))}
    )
    assert answer.status_code == 202, answer.text
    page.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: 'Pre-labeling' in bar(page), 20, 0.1)
    until(lambda: 'Pre-labeling finished: 30 done.' in page.find_element('tag name', 'body').text, 30, 0.1)
    until(lambda: page.execute_script(summary) == '30', 10, 0.2)
    assert bar(page) == ''


def test_the_documented_commands(server, session):
    """The guide's commands, with this server, this plugin and a token in place of theirs."""
    session.post(f'{server.url}/api/jwt/settings', json={'legacy_api_tokens_enabled': True})
    token = session.get(f'{server.url}/api/current-user/token').json()['token']
    blocks = re.findall(r'```console\n(.*?)```', GUIDE.read_text(encoding='utf-8'), re.DOTALL)
    commands = [line[2:] for block in blocks for line in block.splitlines() if 'prelabel' in line]
    assert len(commands) == 2
    answers = []
    for command in commands:
        command = command.replace('http://localhost:8080', server.url).replace('image_classifier', 'slow_cats')
        done = subprocess.run(
            ['bash', '-c', command], env={'PATH': '/usr/bin:/bin', 'TOKEN': token}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert '"state":"queued"' in answers[0] and '"skip_labeled":true' in answers[0]
    assert '"active":[{' in answers[1]
