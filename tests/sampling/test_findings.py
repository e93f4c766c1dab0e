"""Is active learning worth it: what the server finds out by itself from the labels that people gave."""

import numpy as np
import pytest

from label_studio.ml_host.enabling import services as enabling
from label_studio.ml_host.models import BackendEvent, Evaluation, ModelVersion, SampledTask, SamplingFindings
from label_studio.ml_host.quality.answers import Answers, HeldOutAnswer, pack
from label_studio.ml_host.sampling import keeper, queueing, services
from label_studio.ml_host.sampling.findings import falling, watcher
from label_studio.ml_host.sampling.findings.state import NOTHING_YET, found_of
from ml_plugins.failures import failure_log
from ml_plugins.strategies import Labeled, Pool, choose, registry, strategy
from ml_plugins.strategies.heads import logistic
from tests.sampling.digits import CONFIG, DigitsBackend, People, digits
from tests.sampling.models import install_criterion

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def program():
    """The thread's work without the thread; its process comes up once."""
    made = watcher.Watcher()
    yield made
    made.close()


@pytest.fixture
def watch(program):
    """Gives `watch(plan)`: looks at the plan, and gives what was found out."""

    def look(plan):
        program._rest_until.clear()
        plan.refresh_from_db()
        program.look_at(plan)
        plan.refresh_from_db()
        return found_of(type(plan).objects.select_related('findings').get(pk=plan.pk))

    return look


@pytest.fixture
def plan(project, owner, inline_plugins, settings, tmp_path):
    settings.ML_WORK_DIR = tmp_path / 'work'
    project.label_config = CONFIG
    project.save()
    inline_plugins('digits', DigitsBackend)
    enabling.enable(project, 'digits', owner)
    return services.set_sampling(project, 'digits', True, {'seed': 3})


@pytest.fixture
def people(plan, owner):
    return People(plan, owner)


@pytest.fixture(scope='module')
def good():
    """Rows of the digits as *Automatic* serves them, a quarter of them at random; and which those are."""
    features, truth = digits()
    rng, order, explored, predict = np.random.default_rng(0), [], [], None
    while len(order) < 210:
        left = np.setdiff1d(np.arange(len(truth)), order)
        pool = Pool(left, {'choice': predict(features[left])} if predict else None, features[left])
        answers = {'choice': [str(truth[row]) for row in order]}
        picked = choose(strategy('automatic'), pool, Labeled(np.array(order), answers, features[order]), 30, rng, 0.25)
        order += left[picked.indices].tolist()
        explored += left[picked.indices[picked.explored]].tolist()
        predict = logistic(features[order], truth[order], 10)
    return order, explored


def bad(share=0.3, labels=120):
    """Rows as a strategy serves them that is fond of two digits."""
    _, truth = digits()
    rng = np.random.default_rng(2)
    liked, others = rng.permutation(np.flatnonzero(truth < 2)), rng.permutation(len(truth))
    order, explored = [], []
    liked, others = iter(liked), iter(others)
    while len(order) < labels:
        at_random = rng.random() < share
        row = int(next(others if at_random else liked))
        if row not in order:
            order.append(row)
            explored += [row] if at_random else []
    return order, explored


def test_a_good_strategy_is_said_to_save_labels(plan, people, good, watch):
    people.know()
    people.label(*good)
    found = watch(plan)
    assert 'labels saved so far' in found.sentence
    assert found.arms['saved_low'] > 0 and found.arms['saved'] > 10
    assert not found.arms['worse'] and plan.instead == ''
    assert (found.report['judged'], found.report['explored'], found.labels) == (210, len(good[1]), 210)
    assert found.report['features'] == 'embeddings'
    for arm in ('active', 'random'):
        points = found.arms[arm]
        assert len(points) >= 5
        assert all(0 <= point['low'] <= point['accuracy'] <= point['high'] <= 1 for point in points)
    state = services.sampling_state(plan.project_id, 'digits')['findings']
    assert (state['sentence'], state['saved']) == (found.sentence, found.arms['saved'])


def test_one_that_does_worse_than_random_falls_back_and_is_tried_again_later(
    plan, people, watch, program, django_capture_on_commit_callbacks
):
    people.know()
    people.label(*bad())
    queueing.append(plan, [queueing.Choice(people.tasks[-1], 1.0, 1, 0.9)])
    found = watch(plan)
    assert found.sentence.startswith('Active learning is doing worse than random: -')
    assert plan.instead == 'random'
    assert not queueing.waiting(plan).exists()
    event = BackendEvent.objects.get(action='sampling_fell')
    assert event.user is None
    assert (event.detail['strategy'], event.detail['reason']) == ('automatic', found.sentence)
    # From now on tasks are drawn at random, and the log says so.
    keep = keeper.Keeper()
    keep._scorer = program._scorer
    keep.look_at(plan)
    assert {row.strategy for row in queueing.waiting(plan)} == {'random'}
    assert queueing.waiting(plan).exclude(explored=True).count() == 0
    # A few labels more change nothing, and what was found stays.
    rest = np.setdiff1d(np.arange(len(people.truth)), bad()[0])
    people.label(rest[:80], explored=rest[:80])
    assert watch(plan).sentence == found.sentence
    assert plan.instead == 'random'
    # With twice as many labels there is another try, which begins with a clean sheet.
    people.label(rest[80:120], explored=rest[80:120])
    assert watch(plan).sentence != found.sentence
    assert plan.instead == ''
    assert BackendEvent.objects.filter(action='sampling_again', user=None).exists()
    found = watch(plan)
    assert found.sentence == NOTHING_YET and found.report['judged'] == 0
    assert plan.instead == ''


def test_a_person_uses_it_again_and_is_not_overruled_at_once(plan, people, watch, owner):
    people.label(*bad())
    people.know()
    assert falling.fall_back(plan, 150, 'It does worse.')
    assert plan.instead == 'random'
    assert falling.use_again(plan, owner)
    assert not falling.use_again(plan, owner)
    assert BackendEvent.objects.get(action='sampling_again').user == owner
    found = watch(plan)
    assert plan.instead == ''
    assert found.sentence == NOTHING_YET


def test_another_strategy_is_judged_by_its_own_labels(plan, people, watch, project):
    people.know()
    people.label(*bad())
    assert falling.fall_back(plan, 150, 'It does worse.')
    services.set_sampling(project, 'digits', None, {'explore': 0.1})
    plan.refresh_from_db()
    assert plan.instead == 'random'
    services.set_sampling(project, 'digits', None, {'strategy': 'core_set'})
    found = watch(plan)
    assert plan.instead == '' and found.report['judged'] == 0


def test_random_is_not_held_against_itself(plan, people, watch, project):
    services.set_sampling(project, 'digits', None, {'strategy': 'random'})
    people.know()
    people.label(range(40), explored=range(40))
    assert watch(plan).sentence.startswith('Tasks are served at random')


def test_too_little_is_said_to_be_too_little(plan, people, watch):
    people.know()
    people.label(range(30), explored=range(7))
    found = watch(plan)
    assert found.sentence.startswith('Too early to say: 7 labels of randomly served tasks')
    assert found.gain['sentence'].startswith('Too early to say what the next labels bring: 0 of 4')
    assert found.stop is None
    # Of a project without labels nothing is said.
    assert found_of(None).sentence == NOTHING_YET


def test_one_class_so_far(plan, people, watch):
    people.know()
    people.label(np.flatnonzero(people.truth == 3)[:60], explored=np.flatnonzero(people.truth == 3)[:30])
    assert watch(plan).sentence == 'Too early to say: all labels so far are the same.'


def test_labels_that_are_no_classes(plan, people, watch):
    from label_studio.ml_host.upstream import Annotation

    people.know()
    people.label(range(40), explored=range(30))
    Annotation.objects.update(result=[{'from_name': 'r', 'to_name': 'image', 'type': 'rating', 'value': {'rating': 3}}])
    assert 'the labels of this project are no classes' in watch(plan).sentence


def test_what_the_model_gives_decides_what_can_be_said(plan, people, watch):
    people.label(range(40), explored=range(30))
    assert 'the ML backend has not answered any labeled task' in watch(plan).sentence
    people.know(embeddings=False)
    watcher.ask(plan)
    assert 'gives neither embeddings nor class probabilities' in watch(plan).sentence


def test_probabilities_do_where_there_are_no_embeddings(plan, people, watch):
    """A model that needs no training has not seen the labels; what it says is as good before as after them."""
    rng = np.random.default_rng(1)
    sure = 0.6 * np.eye(10)[people.truth] + 0.04 + 0.02 * rng.random((len(people.truth), 10))
    people.label(range(60), explored=range(30))
    people.know(embeddings=False, probabilities=sure)
    found = watch(plan)
    assert (found.report['features'], found.report['compared']) == ('probabilities', 60)
    assert found.arms['active'][-1]['accuracy'] > 0.9
    # One that was trained here knows the answers by heart for what it answered after it had learned them.
    version = ModelVersion.objects.create(project=plan.project, backend='digits', number=1, directory='d', digest='0')
    plan.project.plugin_backends.update(in_service=version)
    people.know('digits-v1', embeddings=False, probabilities=sure)
    found = watch(plan)
    assert found.report['compared'] == 0
    assert 'its probabilities do not count for 60 tasks' in found.sentence


def test_labels_that_active_learning_did_not_ask_for_are_learned_from_by_both(plan, people, watch):
    people.know()
    people.label(range(100, 160), served=False)
    people.label(range(50), explored=range(40))
    found = watch(plan)
    assert (found.report['judged'], found.labels) == (50, 110)
    assert found.arms['active'][0]['labels'] > 60
    assert found.arms['active'][-1]['labels'] == 110


def test_tasks_that_are_deleted_or_labeled_otherwise_meanwhile(plan, people, watch):
    from label_studio.ml_host.upstream import Annotation, Task

    people.know()
    people.label(range(60), explored=range(40))
    assert watch(plan).report['judged'] == 60
    Task.objects.filter(pk__in=people.tasks[:25]).delete()
    Annotation.objects.filter(task_id=people.tasks[30]).update(was_cancelled=True)
    # Two people labeled this one, and it was served to both.
    people.label([40], explored=[40])
    watcher.ask(plan)
    found = watch(plan)
    assert (found.report['judged'], found.report['explored'], found.labels) == (34, 14, 34)
    assert SampledTask.objects.filter(task_id=people.tasks[0]).exists()


def test_it_is_computed_when_there_is_something_new(plan, people, watch, project):
    def computed_at():
        return watch(plan).computed_at

    people.know()
    assert watch(plan).sentence == NOTHING_YET
    people.label(range(10), explored=range(5))
    first = computed_at()
    people.label(range(10, 19))
    assert computed_at() == first
    people.label([19])
    second = computed_at()
    assert second > first
    ModelVersion.objects.create(project=project, backend='digits', number=1, directory='d', digest='0', trained_on=19)
    third = computed_at()
    assert third > second
    watcher.ask(plan)
    assert computed_at() > third
    assert SamplingFindings.objects.get().asked_at is None


def test_one_process_computes_at_a_time(plan, people, watch):
    from django.utils import timezone

    from label_studio.ml_host.training.lifecycle import place

    people.label(range(10))
    # Process 1 is alive on every machine.
    row = SamplingFindings.objects.create(plan=plan, worker=f'{place()}/1', heartbeat_at=timezone.now())
    assert watch(plan).computed_at is None
    SamplingFindings.objects.update(heartbeat_at=timezone.now() - timezone.timedelta(minutes=5))
    assert watch(plan).computed_at is not None
    row.refresh_from_db()
    assert row.worker == ''


def test_what_is_switched_off_is_left_alone(plan, people, program, project):
    people.label(range(10))
    services.set_sampling(project, 'digits', False, {})
    program.look()
    assert not SamplingFindings.objects.exists()


def versions(project, scores):
    """Versions as trainings leave them: each answers five held-out tasks, all but the first as the last one does."""
    for number, (labels, score) in enumerate(scores, start=1):
        version = ModelVersion.objects.create(
            project=project,
            backend='digits',
            number=number,
            directory=f'd{number}',
            digest='0',
            trained_on=labels,
            score=score,
            score_low=score - 0.01,
            score_high=score + 0.01,
        )
        digit = '1' if number == 1 else '2'
        region = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [digit]}}
        answers = {
            task: HeldOutAnswer(task, [], [region if task == 1 else {**region, 'value': {'choices': ['7']}}], 1.0, 'h')
            for task in range(1, 6)
        }
        Evaluation.objects.create(version=version, content=pack(Answers(None, answers)))


def test_what_the_next_labels_bring_and_when_to_stop(plan, people, watch, project):
    versions(project, [(50, 0.70), (100, 0.80), (150, 0.85), (200, 0.88), (250, 0.90)])
    everything = np.concatenate([np.flatnonzero(people.truth == digit)[:6] for digit in range(10)])
    people.know()
    people.label(everything, explored=everything[::2])
    found = watch(plan)
    assert 1 < 100 * found.gain['gain'] < 6
    assert found.gain['sentence'].startswith('The next 100 labels will bring about +')
    advice = {item['name']: item for item in found.advice}
    assert {item['name'] for item in found.advice if item['active']} == {'marginal_gain', 'prediction_stability'}
    assert not advice['marginal_gain']['stop']
    # The last four models answer the same: nothing changes any more.
    assert advice['prediction_stability']['stop'] and advice['prediction_stability']['value'] == pytest.approx(1.0)
    assert found.stop['name'] == 'prediction_stability'
    services.set_sampling(project, 'digits', None, {'stop': {'budget': {'labels': 60}}})
    found = watch(plan)
    assert found.stop['sentence'] == '60 of 60 labels are given.'
    services.set_sampling(project, 'digits', None, {'stop': {'budget': {'labels': 61}}})
    assert watch(plan).stop is None
    services.set_sampling(project, 'digits', None, {'stop': {}})
    assert watch(plan).stop is None


def test_a_criterion_that_raises_is_recorded_and_left_out(plan, people, project, monkeypatch, tmp_path):
    install_criterion(tmp_path, 'moody', 'raise OSError("no")')
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.forget()
    try:
        services.set_sampling(project, 'digits', None, {'stop': {'moody': {}, 'budget': {'labels': 5}}})
        plan.refresh_from_db()
        people.label(range(10))
        # Its process has to find the package.
        made = watcher.Watcher()
        made.look_at(plan)
        made.close()
        found = found_of(type(plan).objects.select_related('findings').get(pk=plan.pk))
        assert found.failed == [{'name': 'moody', 'error': 'OSError: no'}]
        assert found.stop['sentence'] == '10 of 5 labels are given.'
        assert failure_log.of('stopping_criterion:moody')
    finally:
        monkeypatch.undo()
        registry.forget()


def test_findings_that_cannot_be_computed_leave_those_of_before(plan, people, watch, settings):
    people.know()
    people.label(range(30), explored=range(7))
    before = watch(plan).sentence
    settings.ML_WORK_DIR.rmdir()
    settings.ML_WORK_DIR.touch()
    watcher.ask(plan)
    found = watch(plan)
    assert found.sentence == before
    assert 'File exists' in found.error
    settings.ML_WORK_DIR.unlink()
    watcher.ask(plan)
    assert watch(plan).error == ''
