"""Suspected label errors on the ML backends page."""

import numpy as np
import pytest

from label_studio.ml_host.models import LabelErrorRun, LabelReview, SamplingPlan
from label_studio.ml_host.upstream import Annotation
from tests.analysis.conftest import DIGITS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def suspected(enable, label, work, press):
    """Sixty digits, of which four have another label; gives the page after a look."""
    enable()
    labels = [str(DIGITS.target[number]) for number in range(60)]
    for number in np.random.default_rng(3).choice(60, 4, replace=False):
        labels[number] = str((DIGITS.target[number] + 1) % 10)
    label(range(60), labels)
    pressed = press('digits/label-errors/start/').content.decode()
    assert 'data-look-run' in pressed
    assert 'It waits for a worker.' in pressed
    work()
    return press


def test_look_and_dismiss(suspected, browser, project, owner):
    ended = browser.get(f'/projects/{project.pk}/ml-backends/digits/label-errors/')
    assert ended.headers['HX-Retarget'] == '#ml-card-digits'
    page = ended.content.decode()
    run = LabelErrorRun.objects.get()
    count = run.result['found']
    assert count >= 3
    assert f'Label errors: {count} suspected' in page
    assert f'{run.result["tasks"]} tasks labeled with &quot;choice&quot; were looked at, ' in page
    assert ', by embeddings of the model before its first training.' in page
    first = run.result['suspects'][0]
    assert f'/projects/{project.pk}/data?task={first["task_id"]}' in page
    assert owner.email in page
    said = {'annotation': first['annotation_id'], 'verdict': 'right'}
    page = suspected(f'digits/label-errors/{run.pk}/review/', said).content.decode()
    assert f'Label errors: {count - 1} suspected' in page
    assert 'Not shown: 1 said to be right.' in page
    assert f'data-suspect="{first["task_id"]}"' not in page
    assert LabelReview.objects.get().created_by == owner


def test_what_happened_since_is_said(suspected, browser, project):
    run = LabelErrorRun.objects.get()
    first, second = run.result['suspects'][:2]
    annotation = Annotation.objects.get(pk=first['annotation_id'])
    annotation.result[0]['value']['choices'] = [first['suggested']]
    annotation.save()
    Annotation.objects.get(pk=second['annotation_id']).delete()
    page = browser.get(f'/projects/{project.pk}/ml-backends/digits/').content.decode()
    assert 'The labels have changed since: 1 new or changed, 1 deleted. Look again.' in page
    assert 'Not shown: 1 changed since, 1 deleted since.' in page


def test_ask_somebody_else(suspected, project, annotator):
    run = LabelErrorRun.objects.get()
    said = {'annotation': run.result['suspects'][0]['annotation_id'], 'verdict': 'second_opinion'}
    path = f'digits/label-errors/{run.pk}/review/'
    assert 'Active learning is off on project' in suspected(path, said).content.decode()
    SamplingPlan.objects.create(project=project, backend='digits', enabled=True, strategy='random')
    ann = annotator('ann')
    page = suspected(path, said).content.decode()
    assert 'Somebody else is asked.' in page
    assert 'Do not ask' in page
    ann.submit(ann.next()['id'], '5')
    page = suspected('digits/label-errors/start/').content.decode()
    assert 'ann@example.org: <b>5</b>' in page
    assert (
        'annotation: &#x27;all&#x27; must be the number of an annotation'
        in suspected(path, {'annotation': 'all'}).content.decode()
    )


def test_too_few_labels(enable, label, queue, press):
    enable()
    label(range(5))
    page = press('digits/label-errors/start/').content.decode()
    assert 'A look for label errors needs 30 tasks labeled with &quot;choice&quot;; there are 5.' in page
    assert 'Look for label errors' in page
