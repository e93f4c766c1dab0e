"""Scores are written for many tasks at once, replaced by later ones, and removed with their tasks."""

import numpy as np
import pytest
from django.utils.timezone import now

from label_studio.ml_host.models import TaskScore
from label_studio.ml_host.sampling import score_rows

pytestmark = pytest.mark.django_db


def stored(project):
    rows = TaskScore.objects.filter(project=project).order_by('task_id')
    return list(rows.values_list('task_id', 'score', 'version', 'strategy'))


def test_scores_are_inserted_and_replaced(project, monkeypatch):
    monkeypatch.setattr(score_rows, 'CHUNK', 2)
    first = now()
    score_rows.write(project.pk, np.array([1, 2, 3]), np.array([0.5, -1.25, 1e-12]), 'a-v0', 'margin', first)
    assert stored(project) == [(1, 0.5, 'a-v0', 'margin'), (2, -1.25, 'a-v0', 'margin'), (3, 1e-12, 'a-v0', 'margin')]
    second = now()
    score_rows.write(project.pk, np.array([2, 2**40]), np.array([0.75, 0.0]), 'a-v1', 'entropy', second)
    assert stored(project)[1:] == [
        (2, 0.75, 'a-v1', 'entropy'),
        (3, 1e-12, 'a-v0', 'margin'),
        (2**40, 0.0, 'a-v1', 'entropy'),
    ]
    assert list(TaskScore.objects.order_by('task_id').values_list('scored_at', flat=True)[:2]) == [first, second]


def test_scores_of_tasks_that_are_not_wanted_go(project):
    score_rows.write(project.pk, np.arange(1, 8), np.zeros(7), 'a-v0', 'margin', now())
    assert score_rows.prune(project.pk, np.array([2, 5, 9])) == 5
    assert [row[0] for row in stored(project)] == [2, 5]
