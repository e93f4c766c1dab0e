"""The photo loop with a locally hosted folder that upstream's storage is connected to, and with plain URLs."""

import pytest

from tests.e2e.browsing import click, until
from tests.e2e.pictures import COLOURS, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def learn_and_predict(workplace, project: int, tasks: dict[int, str], unlabeled: dict[int, str]) -> None:
    """Label, train with the bundled classifier, and see the unlabeled pictures predicted when they are opened."""
    workplace.change(project, 'demo', enabled=False)
    workplace.change(project, 'image_classifier', enabled=True)
    for task, colour in tasks.items():
        workplace.label(task, colour)
    run = workplace.train(project, 'image_classifier', 120)
    assert (run['state'], run['error'], run['skipped']) == ('finished', '', [])
    for task, colour in unlabeled.items():
        # The first one may open before the model is loaded.
        (prediction,) = until(lambda number=task: workplace.opened(number))
        assert prediction['model_version'] == 'image_classifier-v1'
        assert prediction['result'][0]['value']['choices'] == [colour]


def chosen_in_editor(workplace, project: int, task: int) -> str:
    """The choice that is ticked when the task is opened in Label Studio's own editor."""
    script = "return document.querySelector('.lsf-choice__item:has(.ant-checkbox-checked)')?.innerText"
    workplace.browser.get(f'{workplace.server.url}/projects/{project}/data?task={task}')
    return until(lambda: workplace.browser.execute_script(script))


def test_a_locally_hosted_folder(workplace, tmp_path):
    folder = workplace.shared_folder / 'photos of colours'
    folder.mkdir()
    for colour in COLOURS:
        for seed in range(3):
            (folder / f'{colour} {seed}.png').write_bytes(picture(colour, seed))
    project = workplace.project('Local folder')
    storage = {'project': project, 'path': str(folder), 'use_blob_urls': True, 'regex_filter': r'.*\.png'}
    number = workplace.call('POST', '/api/storages/localfiles', 201, storage)['id']
    workplace.call('POST', f'/api/storages/localfiles/{number}/sync', 200)
    found = workplace.call('GET', f'/api/tasks?project={project}&fields=all', 200)['tasks']
    colours = {task['id']: ('red' if 'red' in task['data']['image'] else 'blue') for task in found}
    assert len(colours) == 6
    assert all(task['data']['image'].startswith('/data/local-files/?d=') for task in found)
    last = {next(task for task in reversed(colours) if colours[task] == colour): colour for colour in COLOURS}
    learn_and_predict(workplace, project, {task: colours[task] for task in colours if task not in last}, last)
    task = next(iter(last))
    assert chosen_in_editor(workplace, project, task).startswith(last[task])
    workplace.picture('local-folder', tmp_path)


def test_plain_addresses(workplace, site, tmp_path):
    project = workplace.project('Plain addresses')
    made = {
        (colour, seed): workplace.task(project, f'{site}/{colour}-{seed}.png')
        for colour in COLOURS
        for seed in range(3)
    }
    labeled = {task: colour for (colour, seed), task in made.items() if seed < 2}
    unlabeled = {task: colour for (colour, seed), task in made.items() if seed == 2}
    learn_and_predict(workplace, project, labeled, unlabeled)
    task = made['blue', 2]
    assert chosen_in_editor(workplace, project, task).startswith('blue')
    workplace.picture('addresses', tmp_path)

    # Submitted as it is, the annotation refers to the prediction that it was made from.
    click(workplace.browser, '[aria-label="Submit current annotation"]')
    (annotation,) = until(lambda: workplace.call('GET', f'/api/tasks/{task}/', 200)['annotations'])
    (prediction,) = workplace.opened(task)
    assert annotation['parent_prediction'] == prediction['id']
    assert annotation['result'][0]['value']['choices'] == ['blue']
    (exported,) = [
        item
        for item in workplace.call('GET', f'/api/projects/{project}/export?exportType=JSON', 200)
        if item['id'] == task
    ]
    assert exported['annotations'][0]['prediction']['model_version'] == 'image_classifier-v1'
    assert exported['annotations'][0]['prediction']['id'] == prediction['id']
