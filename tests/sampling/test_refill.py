"""From what a model said to a queue of tasks: scores, batches, and what happens when a strategy does not work."""

import time

import numpy as np
import pytest

from label_studio.ml_host.enabling import services as enabling
from label_studio.ml_host.models import PrelabelRun, ProjectBackend, SampledTask, SamplingPlan, TaskScore
from label_studio.ml_host.sampling import feeding, homes, keeper, low
from label_studio.ml_host.sampling.rows import rows_of
from label_studio.ml_host.serving import host
from ml_plugins import Prediction
from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import registry
from tests.prelabeling.drive import until_idle
from tests.sampling.models import OneClassBackend, PretrainedBackend, SureBackend, install_strategy


@pytest.fixture(autouse=True)
def _own_folders(settings, tmp_path):
    settings.ML_ANSWER_DIR = tmp_path / 'answers'
    settings.ML_WORK_DIR = tmp_path / 'work'


@pytest.fixture
def sure(project, owner, inline_plugins):
    inline_plugins('sure', SureBackend)
    return enabling.enable(project, 'sure', owner)


@pytest.fixture
def plan(project, sure):
    return SamplingPlan.objects.create(
        project=project, backend='sure', enabled=True, strategy='margin', seed=7, batch=10, explore=0.0
    )


@pytest.fixture
def keep():
    made = keeper.Keeper()
    monkey = keeper.LOOK_SHARE
    keeper.LOOK_SHARE = 1.0
    yield made
    keeper.LOOK_SHARE = monkey
    made.close()


def waiting(plan):
    rows = SampledTask.objects.filter(project=plan.project_id, served_at=None).order_by('position')
    return list(rows.values_list('task_id', flat=True))


def answer_all(keep, plan):
    """Let the model answer what the keeper asks for, and look again."""
    keep.look_at(plan)
    until_idle()
    return keep.look_at(plan)


@pytest.mark.django_db
def test_the_model_is_asked_and_the_least_sure_tasks_are_queued(plan, make_tasks, keep):
    ids = make_tasks(40)
    first = keep.look_at(plan)
    # Margin has nothing to go by yet.
    assert 'no answers of the model' in first.reason
    assert len(waiting(plan)) == 10
    run = PrelabelRun.objects.get()
    assert (run.refresh, run.total) == (True, 40)
    until_idle()
    outcome = keep.look_at(plan)
    assert (outcome.known, outcome.total, outcome.added) == (40, 40, 10)
    assert waiting(plan) == ids[:10]
    plan.refresh_from_db()
    assert (plan.fallback, plan.scored_version, plan.worker) == ('', 'sure-v0', '')
    scores = TaskScore.objects.filter(project=plan.project_id).order_by('-score')
    assert list(scores.values_list('task_id', flat=True)) == ids
    assert {(row.version, row.strategy) for row in scores} == {('sure-v0', 'margin')}
    row = SampledTask.objects.get(task_id=ids[3])
    assert (row.rank, row.version, row.propensity, row.explored, row.batch) == (4, 'sure-v0', 1.0, False, plan.epoch)
    assert row.score == pytest.approx(scores.get(task_id=ids[3]).score)
    assert keep.look_at(plan) is None


@pytest.mark.django_db
def test_a_queue_that_runs_low_is_filled_with_others(plan, make_tasks, keep):
    ids = make_tasks(40)
    answer_all(keep, plan)
    SampledTask.objects.filter(task_id__in=ids[:6]).delete()
    from label_studio.ml_host.upstream import Task

    Task.objects.filter(pk__in=ids[:6]).update(is_labeled=True, total_annotations=1)
    outcome = keep.look_at(plan)
    assert (outcome.added, outcome.total) == (10, 30)
    assert waiting(plan) == ids[6:20]


@pytest.mark.django_db
def test_the_same_seed_and_state_choose_the_same(plan, make_tasks, keep):
    ids = make_tasks(60)
    SamplingPlan.objects.update(strategy='cluster_margin', explore=0.3)
    plan.refresh_from_db()
    answer_all(keep, plan)
    first = list(SampledTask.objects.order_by('position').values_list('task_id', 'explored', 'propensity'))
    assert {explored for _, explored, _ in first} == {True, False}
    epoch = SampledTask.objects.first().batch
    SampledTask.objects.all().delete()
    SamplingPlan.objects.update(epoch=epoch - 1, scored_at=None)
    plan.refresh_from_db()
    keep.look_at(plan)
    assert list(SampledTask.objects.order_by('position').values_list('task_id', 'explored', 'propensity')) == first
    assert {number for number, _, _ in first} < set(ids)


@pytest.mark.django_db
def test_another_version_is_scored_anew_once_it_has_answered(plan, sure, make_tasks, keep):
    from label_studio.ml_host.models import ModelVersion

    ids = make_tasks(40)
    answer_all(keep, plan)
    version = ModelVersion.objects.create(
        project=plan.project, backend='sure', number=1, directory='sure-1', digest='0' * 64
    )
    ProjectBackend.objects.filter(pk=sure.pk).update(in_service=version)
    before = waiting(plan)
    # The run that asks it is there, but nobody has worked on it yet.
    keep.look_at(plan)
    assert PrelabelRun.objects.filter(label='sure-v1').count() == 1
    opposite = [
        (number, Prediction(probabilities={'choice': [0.5 + place / 100, 0.5 - place / 100]}))
        for place, number in enumerate(reversed(ids))
    ]
    homes.store_of(plan.project_id, 'sure-v1').append(rows_of(opposite))
    outcome = keep.look_at(plan)
    assert outcome.known == 40
    assert waiting(plan) == ids[:-11:-1] != before
    plan.refresh_from_db()
    assert plan.scored_version == 'sure-v1'
    assert set(TaskScore.objects.values_list('version', flat=True)) == {'sure-v1'}


@pytest.mark.django_db
def test_scores_of_labeled_and_deleted_tasks_go(plan, make_tasks, keep):
    from label_studio.ml_host.upstream import Task

    ids = make_tasks(20)
    answer_all(keep, plan)
    Task.objects.filter(pk=ids[0]).update(is_labeled=True, total_annotations=1)
    Task.objects.filter(pk=ids[1]).delete()
    SamplingPlan.objects.update(scored_at=None)
    plan.refresh_from_db()
    keep.look_at(plan)
    assert sorted(TaskScore.objects.values_list('task_id', flat=True)) == ids[2:]
    assert waiting(plan) == ids[2:12]


@pytest.mark.django_db
def test_new_tasks_are_asked_about_and_failed_ones_only_once(plan, make_tasks, keep):
    ids = make_tasks(20)
    from label_studio.ml_host.upstream import Task

    # The model cannot read this one.
    Task.objects.filter(pk=ids[5]).update(data={'image': 'no number'})
    answer_all(keep, plan)
    assert PrelabelRun.objects.count() == 1
    new = make_tasks(5)
    keep.look_at(plan)
    run = PrelabelRun.objects.latest('id')
    assert (run.total, PrelabelRun.objects.count()) == (5, 2)
    until_idle()
    keep.look_at(plan)
    stored = homes.store_of(plan.project_id, 'sure-v0').task_ids()
    assert stored.tolist() == sorted({*ids, *new} - {ids[5]})


@pytest.mark.django_db
def test_labeled_tasks_are_asked_about_once_the_model_gives_embeddings(plan, make_tasks, keep):
    from label_studio.ml_host.upstream import Annotation, Task

    ids = make_tasks(20)
    # Labeled before active learning was switched on; what these labels cover is part of the choice.
    Annotation.objects.create(task_id=ids[0], project=plan.project, completed_by=plan.project.created_by, result=[])
    assert Task.objects.get(pk=ids[0]).is_labeled
    keep.look_at(plan)
    assert [run.total for run in PrelabelRun.objects.all()] == [19]
    until_idle()
    keep.look_at(plan)
    assert [run.total for run in PrelabelRun.objects.order_by('id')] == [19, 1]
    until_idle()
    assert homes.store_of(plan.project_id, 'sure-v0').task_ids().tolist() == ids


@pytest.mark.django_db
def test_a_run_that_a_refresh_took_the_place_of_is_begun_again(plan, make_tasks, keep):
    from label_studio.ml_host.learning.refresh import OVERTAKEN
    from label_studio.ml_host.prelabeling import runs

    make_tasks(20)
    keep.look_at(plan)
    runs.cancel(PrelabelRun.objects.get(), reason=OVERTAKEN)
    keep.look_at(plan)
    again = PrelabelRun.objects.latest('id')
    assert (again.state, again.total) == ('queued', 20)
    runs.cancel(again)
    keep.look_at(plan)
    # What a person cancels stays cancelled.
    assert PrelabelRun.objects.count() == 2


@pytest.mark.django_db
def test_what_a_failed_run_did_not_ask_is_asked_again(plan, make_tasks, keep, monkeypatch):
    from label_studio.ml_host.sampling import coverage

    make_tasks(20)
    monkeypatch.setattr(SureBackend, 'setup', lambda self: 1 / 0)
    keep.look_at(plan)
    until_idle()
    assert PrelabelRun.objects.get().state == 'failed'
    # Not at once: a model that is broken would be loaded all the time.
    keep.look_at(plan)
    assert PrelabelRun.objects.count() == 1
    monkeypatch.setattr(SureBackend, 'setup', lambda self: None)
    monkeypatch.setattr(coverage, 'monotonic', lambda: time.monotonic() + coverage.AGAIN_SECONDS)
    host.reset_breaker(plan.project_id, 'sure')
    assert answer_all(keep, plan).known == 20
    assert [run.state for run in PrelabelRun.objects.order_by('id')] == ['failed', 'finished']


@pytest.mark.django_db
def test_a_strategy_that_failed_is_tried_again_after_a_while(plan, make_tasks, keep, monkeypatch):
    ids = make_tasks(20)
    monkeypatch.setattr(keeper, 'RETRY_SECONDS', 0.0)
    tried = []
    compute = keep._scorer.compute

    def fails_once(*given):
        tried.append(1)
        if len(tried) == 1:
            raise StrategyError('not now')
        return compute(*given)

    monkeypatch.setattr(keep._scorer, 'compute', fails_once)
    alike = [(number, Prediction(probabilities={'choice': [0.5, 0.5]})) for number in ids]
    homes.store_of(plan.project_id, 'sure-v0').append(rows_of(alike))
    assert keep.look_at(plan).reason == 'not now'
    assert len(waiting(plan)) == 10
    assert keep.look_at(plan).reason == ''
    assert keep.look_at(plan) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ('score', 'said'),
    [
        ('raise ZeroDivisionError("no good")', 'ZeroDivisionError: no good'),
        ('return np.full(len(pool), np.nan)', 'every score must be finite'),
        ('time.sleep(60)', 'took more than 2 s'),
        ('os._exit(5)', 'ended with status 5'),
        ('return "rubbish"', 'in place of scores'),
    ],
)
def test_a_strategy_that_does_not_work_costs_the_order_and_nothing_else(
    score, said, plan, make_tasks, keep, tmp_path, monkeypatch, settings
):
    ids = make_tasks(40)
    answer_all(keep, plan)
    last = waiting(plan)
    install_strategy(tmp_path, 'odd', score)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()
    settings.ML_SAMPLING_TIMEOUT = 2.0
    keep.close()
    SamplingPlan.objects.update(strategy='odd', scored_at=None)
    plan.refresh_from_db()
    outcome = keep.look_at(plan)
    registry.forget()
    assert said in outcome.reason
    plan.refresh_from_db()
    assert said in plan.fallback
    # The last queue first, and then chance.
    assert waiting(plan) == last
    SampledTask.objects.filter(task_id__in=ids[:7]).delete()
    assert keep.look_at(plan).added == 10
    drawn = list(SampledTask.objects.order_by('position'))[3:]
    assert {(row.strategy, row.explored, row.score) for row in drawn} == {('random', True, None)}
    # Another strategy works again.
    SamplingPlan.objects.update(strategy='entropy', scored_at=None)
    plan.refresh_from_db()
    assert keep.look_at(plan).reason == ''
    plan.refresh_from_db()
    assert plan.fallback == ''
    assert waiting(plan) == ids[:10]


@pytest.mark.django_db
def test_a_model_without_numbers_is_chosen_by_chance(project, owner, constant, make_tasks, keep):
    enabling.enable(project, 'constant', owner)
    ids = make_tasks(30)
    plan = SamplingPlan.objects.create(project=project, backend='constant', enabled=True, batch=10, seed=1)
    keep.look_at(plan)
    until_idle()
    keep.look_at(plan)
    plan.refresh_from_db()
    assert plan.fallback == ''
    assert 'neither probabilities nor embeddings' in plan.explanation
    assert len(waiting(plan)) == 10
    assert waiting(plan) != ids[:10]


@pytest.mark.django_db
def test_the_first_tasks_are_typical_ones_where_an_untrained_model_gives_embeddings(
    project, owner, inline_plugins, make_tasks, keep, api
):
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    inline_plugins('pretrained', PretrainedBackend)
    enabling.enable(project, 'pretrained', owner)
    ids = make_tasks(100)
    plan = SamplingPlan.objects.create(
        project=project, backend='pretrained', enabled=True, batch=10, seed=1, explore=0.0
    )
    keep.look_at(plan)
    until_idle()
    keep.look_at(plan)
    plan.refresh_from_db()
    assert plan.explanation.startswith('TypiClust: there are 0 labels')
    # One of each kind.
    assert sorted((task_id - ids[0]) % 10 for task_id in waiting(plan)) == list(range(10))
    # Nobody is shown what a model says that has learned nothing.
    assert not StoredPrediction.objects.exists()
    project.refresh_from_db()
    assert api.get(f'/api/tasks/{ids[0]}/?project={project.pk}').json()['predictions'] == []


@pytest.mark.django_db
def test_a_model_that_gives_nothing_before_it_is_trained_is_not_asked(
    project, owner, inline_plugins, make_tasks, keep, monkeypatch
):
    monkeypatch.setattr(PretrainedBackend, 'embeds_untrained', False)
    inline_plugins('pretrained', PretrainedBackend)
    enabling.enable(project, 'pretrained', owner)
    make_tasks(30)
    plan = SamplingPlan.objects.create(project=project, backend='pretrained', enabled=True, batch=10, seed=1)
    assert keep.look_at(plan).added == 10
    assert not PrelabelRun.objects.exists()
    plan.refresh_from_db()
    assert (plan.fallback, plan.explanation[:14]) == ('', 'Random: the mo')


@pytest.mark.django_db
def test_equal_scores_and_a_small_pool(plan, make_tasks, keep):
    ids = make_tasks(4)
    alike = [(number, Prediction(probabilities={'choice': [0.5, 0.5]})) for number in ids]
    homes.store_of(plan.project_id, 'sure-v0').append(rows_of(alike))
    assert keep.look_at(plan).added == 4
    assert sorted(waiting(plan)) == ids
    assert keep.look_at(plan) is None


@pytest.mark.django_db
@pytest.mark.parametrize('strategy', ['automatic', 'margin', 'entropy', 'cluster_margin', 'badge', 'core_set', 'power'])
def test_a_model_that_knows_one_class_so_far(strategy, project, owner, inline_plugins, make_tasks, keep):
    inline_plugins('one_class', OneClassBackend)
    enabling.enable(project, 'one_class', owner)
    plan = SamplingPlan.objects.create(
        project=project, backend='one_class', enabled=True, strategy=strategy, seed=7, batch=10
    )
    make_tasks(40)
    outcome = answer_all(keep, plan)
    assert (outcome.reason, outcome.known) == ('', 40)
    assert len(set(waiting(plan))) == 10


@pytest.mark.django_db
def test_nobody_chooses_while_another_process_does(plan, make_tasks, keep):
    from django.utils import timezone

    make_tasks(20)
    SamplingPlan.objects.update(worker='elsewhere/1', heartbeat_at=timezone.now())
    assert keep.look_at(plan) is None
    assert waiting(plan) == []
    SamplingPlan.objects.update(heartbeat_at=timezone.now() - timezone.timedelta(minutes=2))
    assert keep.look_at(plan) is not None


@pytest.mark.django_db
def test_opened_tasks_are_kept_as_well(plan, sure, make_tasks, api):
    project = plan.project
    project.refresh_from_db()
    [task_id] = make_tasks(1)
    assert api.get(f'/api/tasks/{task_id}/?project={project.pk}').status_code == 200
    feeding.flush()
    found = homes.store_of(project.pk, 'sure-v0').find(np.array([task_id]))
    assert found.names('d:') == ['embedding', 'p:choice', 'score']


@pytest.mark.django_db
def test_answers_of_old_versions_and_deleted_projects_are_removed(plan, make_tasks, keep):
    from label_studio.ml_host.sampling import coverage

    [task_id] = make_tasks(1)
    for label in ('sure-v0', 'sure-v9'):
        feeding.keep(plan.project_id, label, [(task_id, Prediction(score=0.5))])
    feeding.keep(99_999, 'sure-v0', [(1, Prediction(score=0.5))])
    coverage.sweep()
    assert [path.name for path in homes.home(plan.project_id).iterdir()] == ['sure-v0']
    assert homes.projects() == {plan.project_id}


@pytest.mark.django_db(transaction=True)
def test_the_thread_fills_queues_that_run_low(plan, make_tasks, monkeypatch):
    from tests.prelabeling.drive import eventually

    ids = make_tasks(30)
    feeding.keep(
        plan.project_id,
        'sure-v0',
        [
            (number, Prediction(probabilities={'choice': [0.5 + place / 100, 0.5 - place / 100]}))
            for place, number in enumerate(ids)
        ],
    )
    keeper.start()
    try:
        assert eventually(lambda: waiting(plan) == ids[:10])
        SampledTask.objects.filter(task_id__in=ids[:8]).delete()
        monkeypatch.setattr(keeper, 'POLL_SECONDS', 60.0)
        low.note(plan.project_id)
        assert eventually(lambda: len(waiting(plan)) == 12)
    finally:
        keeper.stop()


@pytest.mark.django_db(transaction=True)
def test_tasks_whose_data_change_leave_the_queue_and_come_again_by_what_they_are_now(api, plan, make_tasks, keep):
    ids = make_tasks(40)
    answer_all(keep, plan)
    assert waiting(plan) == ids[:10]
    # The model is now sure of the first ones, and of the last ones it is not.
    for place in range(5):
        api.patch(f'/api/tasks/{ids[place]}/', {'data': {'image': f'/{900 + place}.png'}}, format='json')
    api.patch(f'/api/tasks/{ids[-1]}/', {'data': {'image': '/0.png'}}, format='json')
    feeding.flush()
    assert waiting(plan) == ids[5:10]
    assert TaskScore.objects.filter(project=plan.project_id).count() == 34
    keep.look_at(plan)
    assert list(PrelabelRun.objects.order_by('id').values_list('total', flat=True)) == [40, 6]
    until_idle()
    keep.look_at(plan)
    assert set(waiting(plan)) == {ids[-1], *ids[5:14]}
    assert TaskScore.objects.filter(project=plan.project_id).count() == 40
