"""The page that compares two versions: figures by class, matrices, and the tasks on which they disagree."""

import re

import pytest

from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.pages.confusion import MOST_LABELS, matrix_of
from label_studio.ml_host.quality.answers import Answers, HeldOutAnswer, hash_of, keep_answers
from label_studio.ml_host.quality.confusion import Cell, ClassFigures, Confusion
from label_studio.ml_host.upstream import Organization, Task, User

pytestmark = pytest.mark.django_db


def said(choice: str) -> list[dict]:
    return [{'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [choice]}}]


def answers(tasks, truths: str, given: str) -> Answers:
    """What people and a version say of each task: c for cat, d for dog."""
    names = {'c': 'cat', 'd': 'dog'}
    found = {}
    for task, truth, answer in zip(tasks, truths, given, strict=True):
        truth_result = said(names[truth])
        agreement = float(truth == answer)
        found[task.pk] = HeldOutAnswer(task.pk, truth_result, said(names[answer]), agreement, hash_of(truth_result))
    return Answers(None, found)


@pytest.fixture
def tasks(project):
    return [
        Task.objects.create(project=project, data={'image': f'https://example.org/photos/{number}.jpg?key=1'})
        for number in range(6)
    ]


@pytest.fixture
def versions(project, learner, tasks):
    ProjectBackend.objects.create(project=project, backend='learner', enabled=True)
    found = []
    for number, given in ((1, 'ccdccd'), (2, 'cccddd')):
        version = ModelVersion.objects.create(
            project=project, backend='learner', number=number, directory=f'v{number}', digest='0' * 64
        )
        keep_answers(version, answers(tasks, 'cccddd', given))
        found.append(version)
    ProjectBackend.objects.update(in_service=found[0])
    return found


@pytest.fixture
def shown(browser, project):
    def _shown(query: str, status: int = 200) -> str:
        response = browser.get(f'/projects/{project.pk}/ml-backends/learner/versions/compare/?{query}')
        assert response.status_code == status
        return re.sub(r'\s+', ' ', response.content.decode())

    return _shown


def test_figures_matrices_and_disagreements(shown, versions, tasks, project):
    # The older one stands first, in whatever order they were chosen.
    text = shown('version=2&version=1')
    assert re.findall(r'data-side="(\d)"', text) == ['1', '2']
    assert '<b>0.50</b>' in text and '<b>1.00</b>' in text
    assert (
        re.search(r'data-class="cat"><td>cat</td><td class="ml-number">3</td>(.*?)</tr>', text).group(1).count('1.00')
        == 3
    )
    assert '<td class="ml-number ml-good">+0.43</td>' in text
    first, second = re.findall(r'data-matrix="\d">(.*?)</table>', text)
    assert re.findall(r'<td class="([^"]+)">(\d)<', first) == [
        ('ml-right ml-shade-6', '2'),
        ('ml-wrong ml-shade-3', '1'),
        ('ml-wrong ml-shade-6', '2'),
        ('ml-right ml-shade-3', '1'),
    ]
    assert re.findall(r'<td class="([^"]+)">(\d)<', second)[1] == ('ml-none', '0')
    listed = re.findall(r'data-task="(\d+)"', text)
    assert sorted(map(int, listed)) == [tasks[index].pk for index in (2, 3, 4)]
    assert f'/projects/{project.pk}/data?task={tasks[2].pk}"' in text
    assert '2.jpg<' in text and 'key=1' not in text


def test_a_version_can_be_put_in_service_from_here(shown, versions):
    text = shown('version=1&version=2')
    actions = re.findall(r'<form method="post" action="([^"]+)"', text)
    assert len(actions) == 1 and actions[0].endswith('/learner/versions/2/put-in-service/')


def test_a_deleted_task_is_named_without_a_link(shown, versions, tasks):
    number = tasks[2].pk
    Task.objects.filter(pk=number).delete()
    text = shown('version=1&version=2')
    assert f'Task {number} (deleted)' in text and f'data?task={number}"' not in text


@pytest.mark.parametrize('query', ['', 'version=1', 'version=1&version=1', 'version=a&version=1'])
def test_two_versions_have_to_be_chosen(shown, versions, query):
    text = shown(query, 400)
    assert 'Choose two different versions.' in text and '<option value="2"' in text


def test_versions_that_were_not_measured(shown, versions):
    versions[1].evaluation.delete()
    text = shown('version=1&version=2')
    assert 'version 2 was not measured on held-out tasks' in text
    assert 'data-control' not in text and 'Where they disagree' not in text


def test_unknown_versions_and_strangers(shown, versions, sign_in, project):
    shown('version=1&version=9', 404)
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    other = sign_in(stranger)
    url = f'/projects/{project.pk}/ml-backends/learner/versions/'
    for path in ('compare/?version=1&version=2', ''):
        assert other.get(url + path).status_code in (403, 404), path


def test_of_many_labels_the_frequent_ones_are_shown():
    labels = [f'label {number}' for number in range(100)]
    classes = [ClassFigures(label, number, 1.0, 1.0, 1.0) for number, label in enumerate(labels)]
    cells = [Cell(label, label, number) for number, label in enumerate(labels) if number]
    matrix = matrix_of(Confusion(classes, [*cells, Cell('', 'label 99', 1)]), labels)
    assert len(matrix.rows) == MOST_LABELS + 1 and matrix.left_out == 100 - MOST_LABELS
    assert matrix.labels[0] == 'label 76' and matrix.labels[-1] == 'nothing'
    assert matrix.rows[-1].cells[-2].count == 1 and not matrix.rows[-1].cells[-1].right
