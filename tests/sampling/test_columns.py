"""The Data Manager's columns of active learning: shown where it is on, filled, sorted and filtered by."""

import json
from urllib.parse import quote

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from label_studio.ml_host.sampling import score_rows

pytestmark = pytest.mark.django_db

NAMES = ('acquisition_score', 'acquisition_rank', 'serving_position')


@pytest.fixture
def scored(project, plan, make_tasks):
    """Four tasks with scores, the second the highest; the last one has none."""
    tasks = make_tasks(5)
    scores = np.array([0.25, 0.75, 0.5, 0.25])
    score_rows.write(project.pk, np.array(tasks[:4]), scores, 'constant-v0', 'margin', now())
    return tasks


@pytest.fixture
def listed(api, project):
    """The Data Manager's list of tasks, as its table asks for it."""

    def _listed(ordering='', filters=()):
        query = {
            'ordering': [ordering] if ordering else [],
            'filters': {'conjunction': 'and', 'items': list(filters)},
            'hiddenColumns': {'explore': [], 'labeling': []},
        }
        response = api.get(f'/api/tasks?project={project.pk}&page=1&page_size=30&query={quote(json.dumps(query))}')
        assert response.status_code == 200, response.content
        return response.json()['tasks']

    return _listed


def column_ids(api, project):
    return [column['id'] for column in api.get(f'/api/dm/columns/?project={project.pk}').json()['columns']]


def ids(rows):
    return [row['id'] for row in rows]


def test_they_are_there_where_active_learning_is_on(api, project, plan):
    assert set(NAMES) <= set(column_ids(api, project))
    plan.enabled = False
    plan.save()
    assert not set(NAMES) & set(column_ids(api, project))


def test_they_are_filled(scored, queue, listed):
    queue([scored[2], scored[0]])
    found = [tuple(row.get(name) for name in NAMES) for row in listed()]
    assert found == [(0.25, 3, 2), (0.75, 1, None), (0.5, 2, 1), (0.25, 3, None), (None, None, None)]


def test_the_position_counts_what_still_waits(scored, queue, listed, annotator):
    queue([scored[3], scored[1], scored[0]])
    assert annotator('ann').next_id() == scored[3]
    assert [row.get('serving_position') for row in listed()] == [2, 1, None, None, None]


def test_they_sort(scored, queue, listed):
    queue([scored[2], scored[0]])
    assert ids(listed('-tasks:acquisition_score'))[:2] == [scored[1], scored[2]]
    assert ids(listed('-tasks:acquisition_score'))[-1] == scored[4]
    assert ids(listed('tasks:acquisition_rank'))[:2] == [scored[1], scored[2]]
    assert ids(listed('tasks:serving_position'))[:2] == [scored[2], scored[0]]


def test_they_filter(scored, listed):
    over = {'filter': 'filter:tasks:acquisition_score', 'operator': 'greater', 'type': 'Number', 'value': 0.4}
    assert ids(listed(filters=[over])) == [scored[1], scored[2]]
    best = {'filter': 'filter:tasks:acquisition_rank', 'operator': 'equal', 'type': 'Number', 'value': 1}
    assert ids(listed(filters=[best])) == [scored[1]]


def test_a_view_that_sorts_by_them_works_when_it_is_off(scored, plan, listed):
    plan.enabled = False
    plan.save()
    assert len(listed('-tasks:acquisition_score')) == 5
    assert len(listed('tasks:serving_position')) == 5


def test_a_task_without_active_learning_is_answered_as_upstream_does(api, project, make_tasks):
    task_id = make_tasks(1)[0]
    assert not set(NAMES) & set(api.get(f'/api/tasks/{task_id}/').json())


def test_they_take_no_statement_of_their_own(scored, plan, listed):
    with CaptureQueriesContext(connection) as shown:
        listed()
    plan.enabled = False
    plan.save()
    with CaptureQueriesContext(connection) as hidden:
        assert not set(NAMES) & set(listed()[0])
    assert len(shown) == len(hidden)
