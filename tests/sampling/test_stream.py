"""The label stream of a project with active learning: the chosen order, and upstream's rules about who gets what."""

import pytest

from label_studio.ml_host.models import SampledTask, TaskScore
from label_studio.ml_host.sampling import low, queueing, stream
from label_studio.ml_host.upstream import Task, TaskLock

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(annotator):
    return annotator('ann')


@pytest.fixture
def ben(annotator):
    return annotator('ben')


def score(project, scores):
    from django.utils.timezone import now

    TaskScore.objects.bulk_create(
        TaskScore(
            project=project,
            task_id=task_id,
            score=value,
            rank=rank,
            version='constant-v0',
            strategy='margin',
            scored_at=now(),
        )
        for rank, (task_id, value) in enumerate(sorted(scores.items(), key=lambda pair: -pair[1]), start=1)
    )


def test_tasks_come_in_the_chosen_order_and_the_queue_becomes_the_log(project, make_tasks, queue, ann):
    tasks = make_tasks(6)
    order = [tasks[4], tasks[1], tasks[5]]
    queue(order)
    served = []
    for _ in order:
        answer = ann.next()
        assert answer['queue'] == 'Active learning queue'
        served.append(answer['id'])
        ann.submit(answer['id'])
    assert served == order
    log = SampledTask.objects.order_by('position')
    assert [(row.task_id, row.rank, row.source, row.served_to) for row in log] == [
        (task_id, rank, 'queue', ann.user) for rank, task_id in enumerate(order, start=1)
    ]
    assert all((row.propensity, row.seed, row.version) == (0.95, 7, 'constant-v0') for row in log)
    assert all(row.served_at is not None for row in log)


def test_the_data_manager_is_served_in_the_same_order(project, make_tasks, queue, ann):
    tasks = make_tasks(3)
    queue([tasks[2]])
    url = f'/api/dm/actions/?id=next_task&project={project.pk}'
    answer = ann.client.post(url, {}, format='json').json()
    assert (answer['id'], answer['queue']) == (tasks[2], 'Active learning queue')
    # What is selected there by hand comes in upstream's order.
    selected = {'selectedItems': {'all': False, 'included': [tasks[0], tasks[1]]}}
    answer = ann.client.post(url, selected, format='json').json()
    assert (answer['id'], answer['queue']) == (tasks[0], 'Data manager queue')


def test_a_task_that_was_given_is_given_again_until_it_is_answered(make_tasks, queue, ann, ben):
    tasks = make_tasks(3)
    queue([tasks[2], tasks[0]])
    assert ann.next_id() == tasks[2]
    again = ann.next()
    assert (again['id'], again['queue']) == (tasks[2], 'Task lock')
    assert ben.next_id() == tasks[0]
    ann.submit(tasks[2])
    assert ann.next_id() == tasks[1]
    assert TaskLock.objects.filter(user=ann.user, task_id=tasks[1]).exists()


def test_the_history_of_the_label_stream_is_kept(project, make_tasks, queue, ann):
    tasks = make_tasks(2)
    queue([tasks[1], tasks[0]])
    for _ in tasks:
        ann.submit(ann.next_id())
    history = ann.client.get(f'/api/projects/{project.pk}/label-stream-history/').json()
    assert [entry['taskId'] for entry in history] == [tasks[1], tasks[0]]


def test_upstream_chooses_where_active_learning_or_its_backend_is_off(project, plan, make_tasks, queue, ann):
    from label_studio.ml_host.enabling import services as enabling

    tasks = make_tasks(2)
    queue([tasks[1]])
    enabling.disable(project, 'constant')
    answer = ann.next()
    assert (answer['id'], answer['queue']) == (tasks[0], 'Sequence queue')
    enabling.enable(project, 'constant')
    plan.enabled = False
    plan.save()
    assert ann.next()['queue'] == 'Task lock'
    assert SampledTask.objects.get().served_at is None


def test_a_project_that_no_plan_was_made_for_is_upstreams(project, make_tasks, ann):
    tasks = make_tasks(2)
    assert ann.next() | {'id': tasks[0], 'queue': 'Sequence queue'} == ann.next() | {'queue': 'Sequence queue'}


def test_tasks_that_are_labeled_or_gone_leave_the_queue(plan, make_tasks, queue, ann):
    tasks = make_tasks(5)
    queue(tasks)
    ann.submit(tasks[0])
    Task.objects.filter(pk=tasks[1]).delete()
    assert ann.next_id() == tasks[2]
    assert list(queueing.waiting(plan).values_list('task_id', flat=True)) == [tasks[3], tasks[4]]


def test_many_that_are_gone_do_not_hide_those_that_wait(plan, make_tasks, queue, ann):
    tasks = make_tasks(120)
    queue(tasks)
    Task.objects.filter(pk__in=tasks[:119]).delete()
    assert ann.next_id() == tasks[119]


def test_a_task_that_another_holds_is_passed_over_and_keeps_its_place(plan, make_tasks, queue, ann, ben):
    tasks = make_tasks(3)
    Task.objects.get(pk=tasks[0]).set_lock(ben.user)
    queue(tasks)
    assert ann.next_id() == tasks[1]
    assert queueing.waiting(plan).first().task_id == tasks[0]
    assert ben.next_id() == tasks[0]


def test_nobody_gets_a_task_that_he_postponed_before_the_others(make_tasks, queue, ann):
    tasks = make_tasks(2)
    queue(tasks)
    assert ann.next_id() == tasks[0]
    draft = {'result': [], 'lead_time': 1, 'was_postponed': True}
    assert ann.client.post(f'/api/tasks/{tasks[0]}/drafts', draft, format='json').status_code == 201
    assert ann.next_id() == tasks[1]
    ann.submit(tasks[1])
    answer = ann.next()
    assert (answer['id'], answer['queue']) == (tasks[0], 'Postponed draft queue')
    assert SampledTask.objects.filter(source='postponed', task_id=tasks[0], served_to=ann.user).count() == 1


@pytest.mark.parametrize(
    ('rule', 'own', 'of_others'),
    [
        ('REQUEUE_FOR_ME', 'Skipped queue', None),
        ('REQUEUE_FOR_OTHERS', None, 'Random, since active learning has no scores'),
        ('IGNORE_SKIPPED', None, None),
    ],
)
def test_a_skipped_task_goes_where_the_project_wants_it(project, make_tasks, queue, ann, ben, rule, own, of_others):
    project.skip_queue = rule
    project.save()
    (task,) = make_tasks(1)
    queue([task])
    ann.skip(ann.next_id())
    answer = ann.next()
    assert (answer and answer['queue']) == own
    TaskLock.objects.all().delete()
    answer = ben.next()
    assert (answer and answer['queue']) == of_others


@pytest.fixture
def for_two(project):
    project.maximum_annotations = 2
    project.overlap_cohort_percentage = 100
    project.save()
    return project


def test_a_task_for_two_goes_to_two_and_what_was_begun_comes_first(for_two, make_tasks, queue, ann, ben, annotator):
    tasks = make_tasks(4, overlap=2)
    queue([tasks[3], tasks[2]])
    ann.submit(ann.next_id())
    answer = ben.next()
    assert (answer['id'], answer['queue']) == (tasks[3], 'Breadth first queue')
    # It is in progress for both: a third person gets the next one.
    third = annotator('cas')
    assert third.next_id() == tasks[2]
    # The third has one of its two places.
    assert ann.next_id() in tasks[:3]
    ben.submit(tasks[3])
    assert Task.objects.get(pk=tasks[3]).is_labeled
    assert set(SampledTask.objects.filter(task_id=tasks[3]).values_list('source', 'served_to')) == {
        ('queue', ann.user.pk),
        ('begun', ben.user.pk),
    }


def test_what_two_who_answered_at_once_counted_wrong_is_counted_again(for_two, make_tasks, queue, ann, ben, annotator):
    tasks = make_tasks(2, overlap=2)
    queue(tasks)
    for person in (ann, ben):
        person.submit(person.next_id())
    # Upstream keeps what was written last, also when it was counted before the other annotation was there.
    Task.objects.filter(pk=tasks[0]).update(is_labeled=False, total_annotations=1)
    assert annotator('cas').next_id() == tasks[1]
    task = Task.objects.get(pk=tasks[0])
    assert (task.is_labeled, task.total_annotations) == (True, 2)


def test_tasks_for_several_come_first_where_the_project_wants_it(for_two, make_tasks, queue, ann):
    for_two.show_overlap_first = True
    for_two.overlap_cohort_percentage = 50
    for_two.save()
    single, double = make_tasks(2, overlap=1), make_tasks(2, overlap=2)
    queue([single[0], double[1], double[0]])
    served = []
    for _ in range(4):
        answer = ann.next()
        served.append(answer['id'])
        assert answer['queue'].startswith('Show overlap first & ')
        ann.submit(answer['id'])
    assert served == [double[1], double[0], single[0], single[1]]


def test_annotators_who_are_measured_get_tasks_with_a_right_answer_first(for_two, make_tasks, queue, ann, ben):
    for_two.annotator_evaluation_enabled = True
    for_two.save()
    tasks = make_tasks(3, overlap=2)
    queue(tasks[:2])
    ann.submit(tasks[2], ground_truth=True)
    answer = ben.next()
    assert (answer['id'], answer['queue']) == (tasks[2], 'Onboarding ground truth queue')


def test_without_a_queue_the_best_score_is_served_and_it_says_so(project, plan, make_tasks, ann, ben):
    tasks = make_tasks(5)
    score(project, {tasks[0]: 0.1, tasks[1]: 0.9, tasks[2]: 0.5, tasks[3]: 0.9})
    ann.submit(tasks[3])
    answer = ann.next()
    assert (answer['id'], answer['queue']) == (
        tasks[1],
        'Active learning by score, since nothing is chosen ahead',
    )
    assert ben.next_id() == tasks[2]
    log = SampledTask.objects.get(task_id=tasks[1])
    assert (log.source, log.score, log.version, log.strategy) == ('score', 0.9, 'constant-v0', 'margin')
    assert not TaskScore.objects.filter(task_id=tasks[3]).exists()


def test_equal_scores_are_walked_through_window_by_window(project, plan, make_tasks, ann, monkeypatch):
    monkeypatch.setattr('label_studio.ml_host.sampling.sources.WINDOW', 2)
    tasks = make_tasks(7)
    score(project, dict.fromkeys(tasks, 0.5))
    Task.objects.filter(pk__in=tasks[:5]).update(is_labeled=True)
    assert ann.next_id() == tasks[5]


def test_without_scores_any_task_is_served_and_it_says_so(plan, make_tasks, ann):
    tasks = make_tasks(8)
    served = set()
    for _ in tasks:
        answer = ann.next()
        assert answer['queue'] == 'Random, since active learning has no scores'
        served.add(answer['id'])
        ann.submit(answer['id'])
    assert served == set(tasks)
    assert ann.next() is None


def test_the_reason_of_a_fallback_is_said(plan, make_tasks, ann):
    plan.fallback = 'strategy "margin" took more than 60 s'
    plan.save()
    make_tasks(1)
    assert ann.next()['queue'].endswith('(strategy "margin" took more than 60 s)')


def test_whoever_chooses_is_told_when_the_queue_runs_low(plan, make_tasks, queue, ann):
    plan.batch = 4
    plan.save()
    queue(make_tasks(4))
    served = []
    for _ in range(4):
        served.append(low.take())
        ann.submit(ann.next_id())
    assert served == [set(), set(), set(), {plan.project_id}]


def test_only_tasks_that_the_request_asks_for_are_served(project, plan, make_tasks, queue, ann):
    tasks = make_tasks(4)
    queue(tasks)
    wanted = Task.objects.filter(project=project, pk__in=tasks[2:])
    task, words = stream.get_next_task(pytest.fail, ann.user, wanted, project, False)
    assert (task.pk, words) == (tasks[2], 'Active learning queue')


def test_a_place_that_somebody_else_took_meanwhile_is_left_to_him(plan, project, make_tasks, queue, ann, ben):
    from label_studio.ml_host.sampling import eligible, taking

    (task,) = make_tasks(1, overlap=2)
    queue([task])
    tasks = Task.objects.filter(project=project)
    requests = [stream.Request(plan, project, who.user, eligible.open_tasks(tasks, who.user)) for who in (ann, ben)]
    assert [taking.take(request, task, stream.Source.QUEUE) is not None for request in requests] == [True, False]
    assert not TaskLock.objects.filter(user=ben.user).exists()
