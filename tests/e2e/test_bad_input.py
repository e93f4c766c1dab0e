"""Bad input of every kind: a clear message on the page and in the log, and nothing is lost."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.browsing import click, until
from tests.e2e.workplace import COLOUR_CONFIG

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TEXT_CONFIG = '<View><Text name="text" value="$text"/><TextArea name="answer" toName="text"/></View>'
NO_CHOICES = 'it needs <Choices> with their <Choice> tags on <Image>, and the label config has <TextArea> on <Text>'

# What a task's picture is -> what is said about it.
PICTURES = {
    '{site}/gone.png': 'field "image" answers 404 for {site}/gone.png',
    '{site}/page.png': 'field "image" is not a picture that can be read: it is a web page (HTML)',
    '{site}/huge.png': 'field "image" has 20000x10000 pixels, 200 million; the limit is 100 million',
    '{site}/cut.jpg': 'field "image" is a damaged picture: image file is truncated',
    '/data/local-files/?d=pets/../../secret.png': 'field "image" has ".." in its path',
}
RUBBISH = {
    'label': "valid labels: ['red', 'blue']",
    'to_name': "'to_name' 'no_such_object' not found in configuration",
    'nan': 'score nan is not a number in 0..1',
}


def test_a_label_config_without_choices(workplace, tmp_path):
    project = workplace.project('No choices', TEXT_CONFIG)
    assert f'It cannot be enabled: image_classifier cannot serve project "No choices": {NO_CHOICES}' in workplace.card(
        project, 'image_classifier'
    )
    workplace.picture('no-choices', tmp_path)
    refused = workplace.call('PATCH', f'/api/projects/{project}/ml-backends/image_classifier/', 400, {'enabled': True})
    assert NO_CHOICES in refused['detail']
    assert NO_CHOICES in workplace.logs()
    assert not workplace.state(project, 'image_classifier')['enabled']


def test_a_label_config_that_loses_its_choices(workplace):
    project = workplace.project('Changed')
    assert workplace.state(project, 'demo')['enabled']
    workplace.call('PATCH', f'/api/projects/{project}/', 200, {'label_config': TEXT_CONFIG})
    words = 'demo cannot serve project "Changed": it needs <Choices> on <Text> or <Choices> on <Image>, and the label'
    state = workplace.state(project, 'demo')
    assert (state['enabled'], words in state['switched_off']) == (False, True)
    text = workplace.card(project, 'demo')
    assert 'The server switched it off.' in text
    assert f'It cannot be enabled: {words}' in text
    task = workplace.call('POST', '/api/tasks/', 201, {'project': project, 'data': {'text': 'a'}})['id']
    assert workplace.opened(task) == []
    workplace.call('POST', f'/api/tasks/{task}/annotations/', 201, {'result': []})
    refused = workplace.call('POST', f'/api/projects/{project}/ml-backends/demo/train/', 409)
    assert 'is not enabled' in refused['detail']
    assert words in workplace.logs()
    workplace.call('PATCH', f'/api/projects/{project}/', 200, {'label_config': COLOUR_CONFIG})
    text = workplace.card(project, 'demo')
    assert 'It fits again and can be switched on.' in text
    assert 'cannot be enabled' not in text
    workplace.change(project, 'demo', enabled=True)
    assert workplace.state(project, 'demo')['enabled']


def test_pictures_that_cannot_be_read(workplace, site, tmp_path):
    project = workplace.project('Unreadable')
    tasks = {workplace.task(project, key.format(site=site)): words.format(site=site) for key, words in PICTURES.items()}
    good = [workplace.task(project, f'{site}/{name}-0.png') for name in ('red', 'blue')]
    # They open, without a prediction …
    assert [workplace.opened(task) for task in tasks] == [[]] * len(tasks)
    assert len(workplace.opened(good[0])) == 1
    # … the page says why …
    last = list(tasks.items())[-1]
    text = workplace.shown(project, 'demo', f'no prediction: Task {last[0]}: {last[1]}')
    workplace.picture('unreadable', tmp_path)
    log = workplace.logs()
    for task, words in tasks.items():
        assert f'no prediction: Task {task}: {words}' in text
        assert f'No prediction of demo: Task {task}: {words}' in log
    # … and labels of them are kept, and left out of the training by name.
    for task in (*tasks, *good):
        workplace.label(task, 'blue' if task == good[1] else 'red')
    run = workplace.train(project)
    assert (run['state'], len(run['skipped'])) == ('finished', len(tasks))
    text = workplace.card(project, 'demo', f'{len(tasks)} tasks skipped', 'Log')
    workplace.picture('skipped', tmp_path)
    log = workplace.logs('--training', str(run['id']))
    for task, words in tasks.items():
        assert f'Task {task}: {words}' in text
        assert f'Task {task} is skipped: {words}' in log
    assert workplace.annotations([*tasks, *good]) == len(tasks) + 2


def test_zero_labels(workplace, site):
    project = workplace.project('Zero labels')
    task = workplace.task(project, f'{site}/red-0.png')
    run = workplace.train(project)
    words = 'There is nothing to learn from yet: no task of this project has a submitted annotation.'
    assert (run['state'], run['error'], run['traceback']) == ('failed', words, '')
    assert words in workplace.card(project, 'demo')
    assert words in workplace.logs('--training', str(run['id']))
    assert f'Training run {run["id"]} of demo on project {project} failed: {words}' in workplace.logs()
    assert len(workplace.opened(task)) == 1


def test_one_class_only_and_then_a_single_example_of_a_second(workplace, site, tmp_path):
    project = workplace.project('One class')
    workplace.change(project, 'image_classifier', enabled=True)
    tasks = [workplace.task(project, f'{site}/red-{number}.png') for number in range(3)]
    for task in tasks:
        workplace.label(task, 'red')
    run = workplace.train(project, 'image_classifier')
    words = 'All 3 labeled pictures have "red" for "choice". Label at least one picture of another class (blue)'
    text = workplace.card(project, 'image_classifier')
    workplace.picture('one-class', tmp_path)
    assert run['state'] == 'failed'
    assert words in text
    assert 'Traceback' not in text
    assert words in workplace.logs('--training', str(run['id']))
    # One picture of a second class is enough, whatever the hash says of it.
    tasks.append(workplace.task(project, f'{site}/blue-0.png'))
    workplace.label(tasks[-1], 'blue')
    run = workplace.train(project, 'image_classifier', 120)
    assert (run['state'], run['metrics']['held_out_size'], run['metrics']['classes']) == ('finished', 0, 2)
    assert 'no held-out labels yet' in workplace.card(project, 'image_classifier')
    assert 'No held-out labels yet: all 4 labeled tasks are learned from' in workplace.logs(
        '--training', str(run['id'])
    )
    assert workplace.annotations(tasks) == 4


def test_predictions_that_do_not_fit(workplace, site, tmp_path):
    project = workplace.project('Rubbish')
    workplace.change(project, 'demo', enabled=False)
    workplace.change(project, 'broken_rubbish', enabled=True)
    tasks = []
    for number, (kind, words) in enumerate(RUBBISH.items()):
        workplace.change(project, 'broken_rubbish', params={'kind': kind})
        tasks.append(workplace.task(project, f'{site}/red-{number}.png'))
        assert workplace.opened(tasks[-1]) == []
        workplace.label(tasks[-1], 'red')
        text = workplace.shown(project, 'broken_rubbish', words)
        assert f'task {tasks[-1]}: ' in text.lower()
    workplace.picture('rubbish', tmp_path)
    log = workplace.logs()
    assert all(words in text and words in log for words in RUBBISH.values())
    assert 'It predicts nothing for now: resting after 3 failures in a row' in text
    assert workplace.annotations(tasks) == len(tasks)


def test_a_version_with_a_flipped_byte(workplace, site, tmp_path):
    project = workplace.project('Flipped byte')
    tasks = [workplace.task(project, f'{site}/{name}-{number}.png') for name in ('red', 'blue') for number in (0, 1)]
    for task, name in zip(tasks[:3], ('red', 'red', 'blue'), strict=True):
        workplace.label(task, name)
    assert [workplace.train(project)['version'] for _ in range(2)] == [1, 2]
    path = workplace.data_dir / 'ml' / 'versions' / 'demo' / str(project) / 'v2' / 'files' / 'counts.json'
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    # Off and on again: the version has to be loaded anew, as after a restart of the server.
    workplace.change(project, 'demo', enabled=False)
    workplace.change(project, 'demo', enabled=True)
    assert workplace.opened(tasks[3]) == []
    words = (
        'Version demo-v2 is damaged: its file counts.json was changed after training. Put another version in service'
    )
    workplace.shown(project, 'demo', words)
    workplace.picture('flipped', tmp_path)
    assert words in workplace.logs()
    # What the message says helps.
    click(workplace.browser, '[data-backend=demo] .ml-table .ml-button', 'Put in service')
    until(lambda: workplace.state(project, 'demo')['version_in_service'] == 1)
    assert [item['model_version'] for item in workplace.opened(tasks[3])] == ['demo-v1']
    assert workplace.train(project)['version'] == 3
    assert workplace.annotations(tasks) == 3


@pytest.fixture
def full_disk(workplace):
    """A small disk for the work of training; gives the file that fills it."""
    folder = workplace.data_dir / 'ml' / 'work'
    folder.mkdir(parents=True, exist_ok=True)
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'a small disk cannot be mounted here: {done.stderr.strip()}')
    filler = folder / 'filler'
    try:
        _fill(filler)
        yield filler
    finally:
        subprocess.run(['umount', str(folder)], check=True)


def _fill(filler: Path) -> None:
    with pytest.raises(OSError, match='No space left'), filler.open('wb', buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_while_training(workplace, site, full_disk, tmp_path):
    project = workplace.project('Full disk')
    tasks = [workplace.task(project, f'{site}/{name}-0.png') for name in ('red', 'blue')]
    for task, name in zip(tasks, ('red', 'blue'), strict=True):
        workplace.label(task, name)
    run = workplace.train(project)
    words = f'The disk is full: nothing can be written to {workplace.data_dir / "ml"}. Free some space and train again.'
    text = workplace.card(project, 'demo')
    workplace.picture('full-disk', tmp_path)
    assert run['state'] == 'failed'
    assert words in text
    assert words in workplace.logs('--training', str(run['id']))
    assert words in workplace.logs()
    assert list(full_disk.parent.iterdir()) == [full_disk]
    assert 'none yet' in text
    full_disk.unlink()
    assert workplace.train(project)['version'] == 1
    assert workplace.annotations(tasks) == 2
