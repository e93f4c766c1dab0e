"""Two versions on the same tasks: scores, figures by label, confusion, the tasks on which they disagree."""

import pytest

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.quality.answers import Answers, HeldOutAnswer, answers_of, hash_of, keep_answers, pack, unpack
from label_studio.ml_host.quality.compare import compare
from label_studio.ml_host.quality.confusion import Cell, ClassFigures
from label_studio.ml_host.quality.curve import CurvePoint, learning_curve
from ml_plugins.agreement import agreement

from .conftest import choice

pytestmark = pytest.mark.django_db


@pytest.fixture
def measured(project, constant):
    """Makes a version with these answers to these truths, by task."""

    def make(number, answers, truths, controls=frozenset({'choice'}), **fields):
        version = ModelVersion.objects.create(
            project=project, backend='constant', number=number, directory=str(number), digest='', **fields
        )
        found = {}
        for task_id, answer in answers.items():
            truth = truths[task_id]
            failed = answer is None
            share = 0.0 if failed else agreement(answer, truth, controls)
            found[task_id] = HeldOutAnswer(task_id, truth, answer or [], share, hash_of(truth), failed=failed)
        keep_answers(version, Answers(controls, found))
        return version

    return make


def said(*labels):
    return {task_id: [choice(label)] if label else [] for task_id, label in enumerate(labels, 1)}


TRUTH = said('cat', 'cat', 'cat', 'dog', 'dog', 'bird')
FIRST = said('cat', 'cat', 'dog', 'dog', 'cat', 'cat')
SECOND = said('cat', 'cat', 'cat', 'dog', '', 'cat')


def test_figures_by_label(measured):
    found = compare(measured(1, FIRST, TRUTH), measured(2, SECOND, TRUTH))
    assert (found.tasks, found.first_score.value, found.second_score.value) == (6, 0.5, pytest.approx(4 / 6))
    assert found.first_score.low < 0.5 < found.first_score.high
    [control] = found.controls
    # Labels of the label config first; people gave one that is in it no more.
    assert (control.name, control.kind, list(control.labels)) == ('choice', 'choices', ['cat', 'dog', 'bird'])
    assert list(control.first.classes) == [
        ClassFigures('cat', 3, 2 / 4, 2 / 3, pytest.approx(4 / 7)),
        ClassFigures('dog', 2, 1 / 2, 1 / 2, 1 / 2),
        ClassFigures('bird', 1, None, 0.0, 0.0),
    ]
    assert control.first.table(control.labels) == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert control.second.table([*control.labels, '']) == [[3, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert Cell('dog', '', 1) in control.second.cells


def test_disagreements_are_named_with_all_answers(measured):
    found = compare(measured(1, FIRST, TRUTH), measured(2, SECOND, TRUTH))
    assert (found.disagreeing, [item.task_id for item in found.disagreements]) == (2, [3, 5])
    first, second = found.disagreements
    assert (first.truth_text, first.first_text, first.second_text) == ('cat', 'dog', 'cat')
    assert (first.first_agreement, first.second_agreement) == (0.0, 1.0)
    assert (second.truth_text, second.first_text, second.second_text) == ('dog', 'cat', '')


def test_sentence_says_which_one_is_better(measured):
    truths = said(*['cat', 'dog'] * 20)
    good = measured(1, truths, truths)
    bad = measured(2, said(*['cat'] * 40), truths)
    better = 'Version 1 is better than version 2: '
    assert compare(good, bad).sentence == f'{better}1.00 against 0.50 on the same 40 held-out tasks, p < 0.001.'
    assert compare(bad, good).sentence == f'{better}1.00 against 0.50 on the same 40 held-out tasks, p < 0.001.'
    assert compare(good, good).sentence.startswith('No clear difference: 1.00 against 1.00 ')
    assert compare(good, good).p_value == 1.0


def test_only_common_tasks_count(measured):
    first = measured(1, {1: FIRST[1], 2: FIRST[2], 5: FIRST[5]}, TRUTH)
    second = measured(2, {2: SECOND[2], 5: SECOND[5], 6: SECOND[6]}, TRUTH)
    found = compare(first, second)
    assert found.tasks == 2
    assert {task.task_id for task in found.disagreements} == {5}


def test_nothing_in_common(measured, project):
    first = measured(1, {1: FIRST[1]}, TRUTH)
    second = measured(2, {2: SECOND[2]}, TRUTH)
    unmeasured = ModelVersion.objects.create(project=project, backend='constant', number=3, directory='3', digest='')
    assert compare(first, second).sentence == (
        'Nothing to compare: the two versions were measured on different held-out tasks.'
    )
    found = compare(first, unmeasured)
    assert found.sentence == 'Nothing to compare: version 3 was not measured on held-out tasks.'
    assert (found.tasks, found.first_score, found.p_value, list(found.controls)) == (0, None, None, [])


def test_labels_that_changed_count_as_they_are_now(measured):
    first = measured(1, said('cat'), said('cat'))
    second = measured(2, said('dog'), said('dog'))
    for one, other in ((first, second), (second, first)):
        found = compare(one, other)
        assert {found.first_score.value, found.second_score.value} == {0.0, 1.0}
        assert found.disagreements[0].truth_text == 'dog'


def test_version_that_failed_on_a_task(measured):
    found = compare(measured(1, {1: None}, TRUTH), measured(2, {1: []}, TRUTH))
    assert found.disagreements[0].first_text == 'failed'
    assert found.first_score.value == found.second_score.value == 0.0


def test_controls_of_both_count(measured):
    truth = {1: [choice('cat'), choice('big', 'size')]}
    narrow = measured(1, {1: [choice('cat')]}, truth)
    wide = measured(2, {1: truth[1]}, truth, frozenset({'choice', 'size'}))
    found = compare(narrow, wide)
    assert (found.first_score.value, found.second_score.value) == (0.5, 1.0)
    assert [control.name for control in found.controls] == ['choice', 'size']


def box(x, label):
    value = {'x': x, 'y': 0, 'width': 10, 'height': 10, 'rotation': 0, 'rectanglelabels': [label]}
    return {'from_name': 'box', 'to_name': 'image', 'type': 'rectanglelabels', 'value': value}


def test_regions_are_confused_where_they_lie(measured):
    truth = {1: [box(0, 'Car'), box(20, 'Car'), box(40, 'Bus')]}
    answers = {1: [box(1, 'Car'), box(21, 'Bus'), box(80, 'Bus')]}
    controls = frozenset({'box'})
    found = compare(measured(1, answers, truth, controls), measured(2, truth, truth, controls))
    [control] = found.controls
    assert control.first.table(['Car', 'Bus', '']) == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert control.second.table(['Car', 'Bus', '']) == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert [item for item in control.first.classes if item.label == 'Bus'] == [ClassFigures('Bus', 1, 0.0, 0.0, 0.0)]
    assert found.disagreements[0].first_text == 'Car, 2 Bus'


def test_several_choices_and_paths(measured):
    def paths(*found):
        return [{'from_name': 'kind', 'to_name': 'image', 'type': 'taxonomy', 'value': {'taxonomy': list(found)}}]

    truth = {1: paths(['animal', 'cat'], ['pet']), 2: paths(['pet'])}
    controls = frozenset({'kind'})
    first = measured(1, {1: paths(['animal', 'cat']), 2: paths(['wild'])}, truth, controls)
    found = compare(first, measured(2, truth, truth, controls))
    [control] = found.controls
    assert list(control.labels) == ['animal / cat', 'pet', 'wild']
    assert set(control.first.cells) == {
        Cell('animal / cat', 'animal / cat', 1),
        Cell('pet', '', 1),
        Cell('pet', 'wild', 1),
    }


def test_answers_survive_packing_without_pictures():
    mask = {'from_name': 'm', 'to_name': 'i', 'type': 'brushlabels', 'value': {'rle': [1] * 9, 'brushlabels': ['A']}}
    item = HeldOutAnswer(7, [mask, choice('cat')], [choice('dog')], 0.25, 'abc', 0.5, True)
    found = unpack(pack(Answers(frozenset({'m', 'choice'}), {7: item})))
    assert found.controls == {'m', 'choice'}
    [back] = found.by_task.values()
    assert back.truth == [{**mask, 'value': {'brushlabels': ['A']}}, choice('cat')]
    assert (back.answer, back.agreement, back.truth_hash, back.score, back.failed) == (
        [choice('dog')],
        0.25,
        'abc',
        0.5,
        True,
    )


def test_hash_sees_what_people_say():
    assert hash_of([choice('cat')]) == hash_of([{**choice('cat'), 'id': 'x', 'score': 0.5}])
    assert hash_of([choice('cat')]) != hash_of([choice('dog')])


def test_learning_curve(measured, project):
    scores = {'score_low': 0.1, 'score_high': 0.9}
    measured(2, FIRST, TRUTH, trained_on=40, score=0.7, **scores)
    measured(1, FIRST, TRUTH, trained_on=20, score=0.5, **scores)
    measured(3, {}, {}, trained_on=50)
    measured(4, FIRST, TRUTH, trained_on=60, score=0.1, state='failed', **scores)
    measured(5, FIRST, TRUTH, trained_on=90, score=0.9, trigger='uploaded', **scores)
    measured(6, FIRST, TRUTH, trained_on=0, score=0.9, **scores)
    assert learning_curve(project, 'constant') == [CurvePoint(1, 20, 0.5, 0.1, 0.9), CurvePoint(2, 40, 0.7, 0.1, 0.9)]
    assert learning_curve(project, 'other') == []


def test_rest_comparison(measured, project, api):
    measured(1, FIRST, TRUTH)
    measured(2, SECOND, TRUTH)
    base = f'/api/projects/{project.pk}/ml-backends/constant/versions'
    body = api.get(f'{base}/1/compare/2/').json()
    assert (body['first'], body['second'], body['tasks'], body['disagreeing']) == (1, 2, 6, 2)
    assert body['first_score']['value'] == 0.5
    assert body['controls'][0]['first']['classes'][2] == {
        'label': 'bird',
        'support': 1,
        'precision': None,
        'recall': 0.0,
        'f1': 0.0,
    }
    assert {'truth': 'dog', 'answer': '', 'count': 1} in body['controls'][0]['second']['cells']
    assert body['disagreements'][0]['task'] == 3
    assert body['disagreements'][0]['truth'] == [choice('cat')]
    assert api.get(f'{base}/1/compare/9/').status_code == 404


def test_rest_learning_curve(measured, project, api):
    measured(1, FIRST, TRUTH, trained_on=20, score=0.5, score_low=0.1, score_high=0.9)
    body = api.get(f'/api/projects/{project.pk}/ml-backends/constant/learning-curve/').json()
    assert body == [{'version': 1, 'labels': 20, 'score': 0.5, 'low': 0.1, 'high': 0.9}]


def test_other_organizations_see_nothing(measured, project):
    from rest_framework.test import APIClient

    from label_studio.ml_host.upstream import Organization, User

    stranger = User.objects.create_user(email='stranger@example.org', password='secret-pass')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    measured(1, FIRST, TRUTH)
    client = APIClient()
    client.force_authenticate(stranger)
    base = f'/api/projects/{project.pk}/ml-backends/constant'
    assert client.get(f'{base}/versions/1/compare/1/').status_code == 404
    assert client.get(f'{base}/learning-curve/').status_code == 404
    assert APIClient().get(f'{base}/learning-curve/').status_code == 401


def test_stored_answers_of_an_unmeasured_version(project):
    version = ModelVersion.objects.create(project=project, backend='b', number=1, directory='1', digest='')
    assert answers_of(version) == Answers(None, {})
