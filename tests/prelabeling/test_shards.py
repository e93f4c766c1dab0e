"""A run is cut into shards that together hold each task once."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import PrelabelShard
from label_studio.ml_host.prelabeling import bulk, runs, shards
from label_studio.ml_host.prelabeling.selection import pack, unpack
from label_studio.ml_host.upstream import Prediction, Task
from tests.prelabeling.drive import finish, make_tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def enabled(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return project


def spans():
    return list(PrelabelShard.objects.values_list('first_id', 'last_id', 'cursor'))


def test_a_selection_is_kept_sorted_and_small():
    packed, numbers = pack([5, 3, 5, 2**40])
    assert numbers.tolist() == unpack(packed).tolist() == [3, 5, 2**40]
    assert len(pack(range(100_000))[0]) < 200_000


@pytest.mark.parametrize('selects', [False, True])
def test_ranges_of_about_the_same_size(enabled, selects):
    ids = make_tasks(enabled, 25)
    run = runs.start(enabled, 'constant', ids if selects else None)
    shards.split(run, 10)
    assert spans() == [
        (ids[0], ids[9], ids[0] - 1),
        (ids[10], ids[19], ids[9]),
        (ids[20], ids[24], ids[19]),
    ]
    finish(run)
    assert sorted(Prediction.objects.values_list('task_id', flat=True)) == ids


def test_a_small_run_stays_whole_and_splitting_again_changes_nothing(enabled):
    make_tasks(enabled, 25)
    run = runs.start(enabled, 'constant')
    shards.split(run, 30)
    assert len(spans()) == 1
    shards.split(run, 10)
    before = spans()
    shards.split(run, 10)
    assert spans() == before


def test_what_is_done_already_is_not_cut_again(enabled):
    ids = make_tasks(enabled, 25)
    run = runs.start(enabled, 'constant')
    PrelabelShard.objects.update(cursor=ids[11])
    shards.split(run, 10)
    assert [span[1:] for span in spans()] == [(ids[21], ids[11]), (ids[24], ids[21])]


def test_upstream_gets_a_few_predictions_at_once_and_many_in_a_run(enabled):
    make_tasks(enabled, bulk.FEW)
    outcome = bulk.predict_tasks(enabled.pk, 'constant', Task.objects.order_by('id')[:20])
    assert (outcome.label, outcome.made) == ('constant-v0', 20)
    outcome = bulk.predict_tasks(enabled.pk, 'constant', list(Task.objects.order_by('id')))
    assert outcome.made == bulk.FEW - 20
    more = make_tasks(enabled, bulk.FEW + 1)
    outcome = bulk.predict_tasks(enabled.pk, 'constant', Task.objects.filter(pk__in=more))
    assert (outcome.label, outcome.made) == ('constant-v0', 0)
    run = enabled.prelabel_runs.get()
    assert (run.state, run.total) == ('queued', bulk.FEW + 1)


def test_upstream_hears_why_there_are_none(enabled, owner):
    services.disable(enabled, 'constant', owner)
    make_tasks(enabled, 1)
    outcome = bulk.predict_tasks(enabled.pk, 'constant', Task.objects.all())
    assert outcome.label is None
    assert 'not enabled' in outcome.failures[0]
