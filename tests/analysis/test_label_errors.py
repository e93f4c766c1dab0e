"""Labels that models contradict which did not learn from them, and what people say of them."""

import numpy as np
import pytest

from label_studio.ml_host.analysis.errors import AnalysisUnderWayError
from label_studio.ml_host.label_errors import second_opinions, services
from label_studio.ml_host.models import LabelErrorRun, LabelReview, SampledTask, SamplingPlan
from label_studio.ml_host.upstream import Annotation, Task
from tests.analysis.conftest import DIGITS, DigitsBackend, SilentBackend

pytestmark = pytest.mark.django_db(transaction=True)


def look(api, base, work):
    """Looks for label errors; gives what the API says of it."""
    response = api.post(f'{base}label-errors/', format='json')
    assert response.status_code == 202, response.content
    work()
    found = api.get(f'{base}label-errors/{response.json()["id"]}/').json()
    assert (found['state'], found['error']) == ('finished', '')
    return found


@pytest.fixture
def flipped(enable, label):
    """A hundred and fifty digits, of which some have the label of another one; gives the wrong annotations."""
    enable()
    numbers = range(150)
    labels = [str(DIGITS.target[number]) for number in numbers]
    wrong = np.random.default_rng(3).choice(150, 12, replace=False).tolist()
    for number in wrong:
        labels[number] = str((DIGITS.target[number] + 1) % 10)
    annotations = label(numbers, labels)
    return [annotations[number] for number in wrong]


@pytest.fixture
def found(flipped, api, base, work):
    return look(api, base, work)


@pytest.fixture
def review(api, base, found):
    def send(annotation, verdict, status=200):
        body = {'annotation': annotation, 'verdict': verdict}
        response = api.post(f'{base}label-errors/{found["id"]}/review/', body, format='json')
        assert response.status_code == status, response.content
        return response.json()

    return send


def test_most_flipped_digits_are_listed_first(enable, label, work, api, base):
    enable()
    rng = np.random.default_rng(0)
    numbers = rng.permutation(len(DIGITS.target))[:900].tolist()
    labels = DIGITS.target[numbers].copy()
    flipped = rng.choice(900, 135, replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, 10, 135)) % 10
    annotations = label(numbers, labels.tolist())
    wrong = {annotations[row].pk for row in flipped}
    result = look(api, base, work)['result']
    first = [item['annotation_id'] for item in result['suspects'][: 900 // 4]]
    assert len(wrong & set(first)) >= 0.6 * len(wrong)
    assert (result['tasks'], result['classes'], result['annotations']) == (900, 10, 900)
    doubts = [item['doubt'] for item in result['suspects']]
    truth = {annotation.pk: str(DIGITS.target[number]) for annotation, number in zip(annotations, numbers, strict=True)}
    right = [item['suggested'] == truth[item['annotation_id']] for item in result['suspects'][:50]]
    assert sum(right) >= 40
    assert min(doubts) > 0


def test_what_is_said_of_a_suspect(found, flipped, owner):
    wrong = {annotation.pk: annotation for annotation in flipped}
    assert found['result']['suspects'][0]['annotation_id'] in wrong
    for item in found['result']['suspects'][:3]:
        assert item['given'] == wrong[item['annotation_id']].result[0]['value']['choices'][0]
        assert item['task_id'] == wrong[item['annotation_id']].task_id
        assert (item['state'], item['annotator'], item['user_id']) == ('open', owner.email, owner.pk)
        assert 0 < item['doubt'] <= item['confidence'] <= 1
    assert found['result']['changes'] == {'changed': 0, 'deleted': 0}
    assert found['result']['features'] == 'embeddings of the model before its first training'


def test_a_label_that_looks_right_is_not_suspected_again(found, review, api, base, work):
    number = found['result']['suspects'][0]['annotation_id']
    said = review(number, 'right')['result']
    assert said['suspects'][0]['state'] == 'right'
    again = look(api, base, work)['result']
    assert number not in [item['annotation_id'] for item in again['suspects']]
    assert (again['dismissed'], again['found']) == (1, found['result']['found'] - 1)
    # Another label of the same annotation is another matter.
    annotation = Annotation.objects.get(pk=number)
    truth = DIGITS.target[int(annotation.task.data['text'])]
    annotation.result[0]['value']['choices'] = [str((truth + 5) % 10)]
    annotation.save()
    assert number in [item['annotation_id'] for item in look(api, base, work)['result']['suspects']]


def test_a_verdict_is_taken_back(found, review):
    number = found['result']['suspects'][0]['annotation_id']
    review(number, 'right')
    assert review(number, '')['result']['suspects'][0]['state'] == 'open'
    assert not LabelReview.objects.exists()


def test_changed_and_deleted_labels_and_tasks(found, api, base):
    first, second, third = (item['annotation_id'] for item in found['result']['suspects'][:3])
    annotation = Annotation.objects.get(pk=first)
    annotation.result[0]['value']['choices'] = [found['result']['suspects'][0]['suggested']]
    annotation.save()
    Annotation.objects.get(pk=second).delete()
    Annotation.objects.get(pk=third).task.delete()
    result = api.get(f'{base}label-errors/{found["id"]}/').json()['result']
    assert [item['state'] for item in result['suspects'][:4]] == ['changed', 'gone', 'gone', 'open']
    assert result['changes'] == {'changed': 1, 'deleted': 2}
    refused = api.post(
        f'{base}label-errors/{found["id"]}/review/', {'annotation': 10**6, 'verdict': 'right'}, format='json'
    )
    assert (refused.status_code, refused.json()['code']) == (409, 'cannot_review')


def test_refusals(enable, label, work, api, base):
    enable(SilentBackend)
    label(range(10))
    path = f'{base}label-errors/'
    refused = api.post(path, format='json')
    assert refused.status_code == 409
    assert refused.json()['detail'] == 'A look for label errors needs 30 tasks labeled with "choice"; there are 10.'
    label(range(30))
    assert api.post(path, {'control': 'other'}, format='json').json()['detail'] == 'control: "other" is none of choice'
    assert api.post(path, {'speed': 1}, format='json').status_code == 400
    number = api.post(path, format='json').json()['id']
    work()
    run = LabelErrorRun.objects.get(pk=number)
    assert run.state == 'failed'
    assert 'gives neither embeddings nor class probabilities' in run.error
    Annotation.objects.all().delete()
    label(range(40), ['7'] * 40)
    assert 'All 40 tasks have the label "7"; a look for label errors needs' in api.post(path).json()['detail']


def test_labels_that_are_rare_are_left_out(enable, label, work, api, base):
    enable()
    label(range(100), ['even' if DIGITS.target[number] % 2 else 'odd' for number in range(100)])
    label(range(100, 103), ['rare'] * 3)
    result = look(api, base, work)['result']
    assert (result['tasks'], result['left_out'], result['classes']) == (100, 3, 2)
    assert 'rare' not in {item['given'] for item in result['suspects']}


def test_cancel_before_it_begins(flipped, queue, work, api, base):
    number = api.post(f'{base}label-errors/').json()['id']
    assert api.post(f'{base}label-errors/{number}/cancel/').json()['state'] == 'cancelled'
    work()
    assert LabelErrorRun.objects.get().state == 'cancelled'


@pytest.fixture
def plan(found, project):
    return SamplingPlan.objects.create(project=project, backend='digits', enabled=True, strategy='random', seed=7)


def test_a_second_opinion_comes_from_somebody_else(found, plan, review, api, base, project, owner, annotator):
    ann = annotator('ann')
    suspect = found['result']['suspects'][0]
    assert review(suspect['annotation_id'], 'second_opinion')['result']['suspects'][0]['state'] == 'asked'
    # Who gave the label is not asked, even where nothing else is left.
    first = annotator('owner', user=owner)
    assert first.next() is None
    answer = ann.next()
    assert (answer['id'], answer['queue']) == (suspect['task_id'], 'Second opinion on a label')
    row = SampledTask.objects.get()
    assert (row.task_id, row.source, row.served_to) == (suspect['task_id'], 'second_opinion', ann.user)
    # One other person is enough.
    ben = annotator('ben')
    assert ben.next() is None
    ann.submit(suspect['task_id'], suspect['suggested'])
    assert Task.objects.get(pk=suspect['task_id']).is_labeled
    assert ben.next() is None
    assert LabelReview.objects.get().closed_at is not None
    now = api.get(f'{base}label-errors/{found["id"]}/').json()['result']['suspects'][0]
    assert now['opinions'] == [{'label': suspect['suggested'], 'by': 'ann@example.org'}]


def test_a_second_opinion_comes_before_what_was_chosen(found, plan, review, project, annotator):
    ann = annotator('ann')
    Task.objects.bulk_create(Task(project=project, data={'text': str(number)}) for number in range(200, 210))
    number = found['result']['suspects'][1]
    review(number['annotation_id'], 'second_opinion')
    assert ann.next()['id'] == number['task_id']


def test_a_second_opinion_is_taken_back(found, plan, review, annotator):
    ann = annotator('ann')
    suspect = found['result']['suspects'][0]
    review(suspect['annotation_id'], 'second_opinion')
    task = Task.objects.get(pk=suspect['task_id'])
    assert (task.overlap, task.is_labeled) == (2, False)
    review(suspect['annotation_id'], '')
    task.refresh_from_db()
    assert (task.overlap, task.is_labeled) == (1, True)
    assert ann.next() is None
    # Said to be right instead, it is not asked about either.
    review(suspect['annotation_id'], 'second_opinion')
    assert review(suspect['annotation_id'], 'right')['result']['suspects'][0]['state'] == 'right'
    assert ann.next() is None


def test_who_and_what_cannot_be_asked(found, review, project, annotator):
    suspect = found['result']['suspects'][0]
    refused = review(suspect['annotation_id'], 'second_opinion', 409)
    assert refused['detail'].startswith(f'Active learning is off on project {project.pk}; switch it on')
    SamplingPlan.objects.create(project=project, backend='digits', enabled=True)
    refused = review(suspect['annotation_id'], 'second_opinion', 409)
    assert refused['detail'].startswith('There is nobody else to ask')
    annotator('ann')
    assert (
        "verdict: 'wrong' must be one of right, second_opinion"
        in review(suspect['annotation_id'], 'wrong', 409)['detail']
    )
    Task.objects.filter(pk=suspect['task_id']).delete()
    assert (
        review(suspect['annotation_id'], 'second_opinion', 409)['detail'] == f'Task {suspect["task_id"]} was deleted.'
    )
    assert not LabelReview.objects.exists()


def test_a_deleted_task_does_not_hold_up_the_stream(found, plan, review, project, annotator):
    ann = annotator('ann')
    gone, there = found['result']['suspects'][:2]
    for suspect in (gone, there):
        review(suspect['annotation_id'], 'second_opinion')
    Task.objects.filter(pk=gone['task_id']).delete()
    assert ann.next()['id'] == there['task_id']
    assert [page for page in second_opinions.waiting(project.pk, 1)] == [[there['task_id']]]


def test_the_service_finds_nothing_twice(flipped, queue, project):
    services.start(project, 'digits')
    with pytest.raises(AnalysisUnderWayError, match='Another look for label errors of "digits" is under way'):
        services.start(project, 'digits')
    assert DigitsBackend.asked == []
