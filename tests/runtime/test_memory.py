"""Several models stay within a memory budget: the least recently used leaves first, one with work leaves last."""

import logging
import time
import weakref

import pytest

from ml_plugins.runtime import Priority, Runtime, RuntimeLimits
from tests.runtime.models import PATIENCE, Gated, Recording, closed_gate, eventually, fresh, scores, spec, tasks

MIB = 2**20


@pytest.fixture
def make_runtime():
    made = []

    def make(**limits):
        made.append(Runtime(RuntimeLimits(**limits)))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


def sized(megabytes, base=Recording, **members):
    return fresh(base, memory_bytes=lambda self: megabytes * MIB, **members)


def use(runtime, backend, **options):
    assert scores(runtime.submit(spec(backend, **options), tasks(1))) == [0]
    assert eventually(lambda: all(model.is_idle for model in runtime.models()))


def resident(runtime):
    return sorted(model.spec.project_id for model in runtime.models())


def test_the_least_recently_used_model_leaves_when_memory_is_used_up(make_runtime):
    runtime = make_runtime(models=10, memory_bytes=100 * MIB)
    backend = sized(40)
    for project in (1, 2, 1, 3):
        use(runtime, backend, project=project)
    assert resident(runtime) == [1, 3]
    assert eventually(backend.instances[1].closed.is_set)
    assert not backend.instances[0].closed.is_set()


def test_without_a_budget_only_their_number_counts(make_runtime):
    runtime = make_runtime(models=3)
    for project in range(1, 5):
        use(runtime, sized(10**6), project=project)
    assert resident(runtime) == [2, 3, 4]


def test_several_small_ones_leave_for_a_large_one(make_runtime):
    runtime = make_runtime(models=10, memory_bytes=100 * MIB)
    for project in (1, 2, 3, 4):
        use(runtime, sized(20), project=project)
    use(runtime, sized(60), project=5)
    assert resident(runtime) == [3, 4, 5]


@pytest.mark.parametrize('limits', [{'models': 2}, {'models': 10, 'memory_bytes': 100 * MIB}], ids=['number', 'memory'])
def test_a_model_with_work_stays_though_it_was_used_before_an_idle_one(make_runtime, limits):
    runtime = make_runtime(**limits)
    busy = sized(40, Gated)
    computing = closed_gate(runtime, busy, project=1)
    use_other = sized(40)
    assert scores(runtime.submit(spec(use_other, project=2), tasks(1))) == [0]
    assert eventually(lambda: [model.is_idle for model in runtime.models()] == [True, False])
    assert scores(runtime.submit(spec(use_other, project=3), tasks(1))) == [0]
    assert resident(runtime) == [1, 3]
    busy.gate.set()
    assert scores(computing) == [999]


def test_a_model_that_has_to_leave_with_work_still_does_it(make_runtime, caplog):
    runtime = make_runtime(models=1)
    busy = fresh(Gated)
    computing = closed_gate(runtime, busy, project=1)
    bulk = runtime.submit(spec(busy, project=1), tasks(6, 100), priority=Priority.BULK)
    with caplog.at_level(logging.WARNING):
        other = runtime.submit(spec(fresh(), project=2), tasks(1))
    assert 'recording leaves although it has work' in caplog.text
    assert resident(runtime) == [2]
    busy.gate.set()
    assert [scores(computing), scores(bulk), scores(other)] == [[999], list(range(100, 106)), [0]]
    assert eventually(busy.instances[0].closed.is_set)


def test_the_one_that_leaves_is_gone_before_the_next_is_loaded(make_runtime):
    runtime = make_runtime(models=10, memory_bytes=100 * MIB)
    events = []

    def setup(self):
        events.append(f'load {self.context.project_id}')
        Recording.setup(self)

    def close(self):
        time.sleep(0.2)
        events.append(f'close {self.context.project_id}')

    backend = sized(60, setup=setup, close=close)
    for project in (1, 2):
        use(runtime, backend, project=project)
    assert events == ['load 1', 'close 1', 'load 2']


def test_a_model_larger_than_the_budget_works_and_is_named(make_runtime, caplog):
    runtime = make_runtime(memory_bytes=100 * MIB)
    use(runtime, sized(40), project=1)
    with caplog.at_level(logging.WARNING):
        use(runtime, sized(400), project=2)
    assert resident(runtime) == [2]
    assert 'more than the whole budget' in caplog.text


def test_memory_is_measured_where_a_model_does_not_say_it(make_runtime):
    runtime = make_runtime()

    def setup(self):
        Recording.setup(self)
        self.weights = b'\1' * (64 * MIB)

    use(runtime, fresh(setup=setup))
    [model] = runtime.models()
    assert 60 * MIB < model.stats.memory_bytes < 120 * MIB


def test_a_measured_size_counts_towards_the_budget(make_runtime):
    runtime = make_runtime(models=10, memory_bytes=100 * MIB)

    def setup(self):
        Recording.setup(self)
        self.weights = b'\1' * (64 * MIB)

    backend = fresh(setup=setup)
    for project in (1, 2):
        use(runtime, backend, project=project)
    assert resident(runtime) == [2]


def test_what_a_model_must_not_say_about_its_memory_is_a_failed_load(make_runtime):
    runtime = make_runtime()
    with pytest.raises(ValueError, match='much'):
        runtime.submit(spec(fresh(memory_bytes=lambda self: 'much')), tasks(1)).result(PATIENCE)


def test_the_server_hands_its_settings_on(settings):
    from label_studio.ml_host.serving import host

    settings.ML_MEMORY_BUDGET = 123
    settings.ML_QUEUE_TASKS = 45
    settings.ML_RESIDENT_MODELS = 6
    host.reset()
    try:
        limits = host.runtime().limits
        assert (limits.memory_bytes, limits.queue, limits.models) == (123, 45, 6)
    finally:
        host.reset()


def test_the_memory_of_a_model_that_left_is_free_again(make_runtime):
    runtime = make_runtime(models=1)
    alive = []

    def setup(self):
        self.batches = []
        alive.append(weakref.ref(self))

    backend = fresh(setup=setup, close=lambda self: None)
    for project in (1, 2):
        use(runtime, backend, project=project)
    assert eventually(lambda: alive[0]() is None)
    assert alive[1]() is not None
