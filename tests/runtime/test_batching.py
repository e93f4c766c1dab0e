"""Opens, clicks, the service and bulk runs share one queue and its batches."""

import time

import pytest

from ml_plugins import Interaction, Prediction
from ml_plugins.exceptions import BackendBusyError, DeadlineExceededError
from ml_plugins.runtime import Priority, Runtime, RuntimeLimits
from ml_plugins.runtime.inbox import LATEST, SOONEST, Inbox
from ml_plugins.runtime.waiting import Request
from tests.runtime.models import PATIENCE, Gated, closed_gate, fresh, scores, spec, tasks


@pytest.fixture
def runtime():
    runtime = Runtime(RuntimeLimits(queue=20))
    yield runtime
    runtime.close()


def test_a_bulk_request_is_cut_into_batches_that_others_get_between(runtime):
    backend = fresh(Gated)
    first = closed_gate(runtime, backend)
    bulk = runtime.submit(spec(backend), tasks(9, 100), priority=Priority.BULK)
    opened = runtime.submit(spec(backend), tasks(1, 1))
    click = runtime.submit(spec(backend), tasks(1, 2), Interaction([{}]), Priority.INTERACTIVE)
    backend.gate.set()
    assert scores(bulk) == list(range(100, 109))
    assert [scores(first), scores(opened), scores(click)] == [[999], [1], [2]]
    [instance] = backend.instances
    assert instance.batches == [[999], [2], [1, 100, 101, 102], [103, 104, 105, 106], [107, 108]]


def test_an_open_that_comes_during_a_bulk_request_waits_for_one_batch_only(runtime):
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    bulk = runtime.submit(spec(backend), tasks(8, 100), priority=Priority.BULK)
    opened = []

    def answer(self, task):
        if task.id == 100:
            opened.append(runtime.submit(spec(backend), tasks(1, 1)))
        return Gated.answer(self, task)

    backend.answer = answer
    backend.gate.set()
    bulk.result(PATIENCE)
    assert scores(opened[0]) == [1]
    assert backend.instances[0].batches[1:] == [[100, 101, 102, 103], [1, 104, 105, 106], [107]]


def test_a_click_is_answered_alone_and_without_a_click_the_editor_shares_batches(runtime):
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    futures = [
        runtime.submit(spec(backend), tasks(1, 1), priority=Priority.INTERACTIVE),
        runtime.submit(spec(backend), tasks(1, 2), Interaction([{}]), Priority.INTERACTIVE),
        runtime.submit(spec(backend), tasks(1, 3)),
    ]
    backend.gate.set()
    assert [scores(future) for future in futures] == [[1], [2], [3]]
    assert backend.instances[0].batches == [[999], [1], [2], [3]]


def test_max_delay_waits_until_the_batch_is_full(runtime):
    backend = fresh(max_delay=50.0)
    futures = [runtime.submit(spec(backend), tasks(1, number)) for number in range(3)]
    runtime.warm(spec(backend)).result(PATIENCE)
    time.sleep(0.2)
    assert backend.instances[0].batches == []
    futures.append(runtime.submit(spec(backend), tasks(1, 3)))
    assert [scores(future) for future in futures] == [[0], [1], [2], [3]]
    assert backend.instances[0].batches == [[0, 1, 2, 3]]


def test_a_click_does_not_wait_for_a_fuller_batch(runtime):
    backend = fresh(max_delay=50.0)
    opened = runtime.submit(spec(backend), tasks(1, 1))
    runtime.warm(spec(backend)).result(PATIENCE)
    time.sleep(0.1)  # now it waits for others
    click = runtime.submit(spec(backend), tasks(1, 2), Interaction([{}]), Priority.INTERACTIVE)
    assert scores(click) == [2]
    assert not opened.done()


def test_when_nobody_joins_the_delay_ends(runtime):
    backend = fresh(max_delay=0.2)
    runtime.warm(spec(backend)).result(PATIENCE)
    assert scores(runtime.submit(spec(backend), tasks(1, 1))) == [1]
    [model] = runtime.models()
    assert model.stats.wait_p50_ms >= 199


def test_the_delay_counts_from_the_task_that_waits_longest(runtime):
    inbox = Inbox('any', 10, lambda: None)
    old, new = (Request(tasks(1, number), None, Priority.OPEN) for number in (1, 2))
    old.arrived -= 100
    inbox.put(new)
    inbox.put(Request(tasks(1, 3), None, Priority.BULK, arrived=old.arrived))
    started = time.monotonic()
    assert len(inbox.next_batch(4, 50.0)) == 2
    assert time.monotonic() - started < 40


def test_unloading_does_not_wait_for_a_fuller_batch(runtime):
    backend = fresh(max_delay=50.0)
    future = runtime.submit(spec(backend), tasks(1, 1))
    runtime.drop('recording', 1)
    assert scores(future) == [1]


def test_bulk_work_cannot_fill_the_room_of_people(runtime):
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    bulk = runtime.submit(spec(backend), tasks(20, 100), priority=Priority.BULK)
    with pytest.raises(BackendBusyError, match='20 tasks waiting, and 1 more exceed the 20 that may wait') as caught:
        runtime.submit(spec(backend), tasks(1), priority=Priority.BULK)
    assert caught.value.code == 'busy'
    opened = runtime.submit(spec(backend), tasks(20))
    with pytest.raises(BackendBusyError):
        runtime.submit(spec(backend), tasks(1))
    click = runtime.submit(spec(backend), tasks(1, 500), Interaction([{}]), Priority.INTERACTIVE)
    backend.gate.set()
    assert [len(future.result(PATIENCE)) for future in (bulk, opened, click)] == [20, 20, 1]
    assert scores(runtime.submit(spec(backend), tasks(20), priority=Priority.BULK)) == list(range(20))


@pytest.mark.parametrize(
    ('speed', 'expected'),
    [(5.0, 2.0), (None, 1.0), (1e9, SOONEST), (1e-9, LATEST)],
    ids=['known', 'new', 'fast', 'slow'],
)
def test_a_full_queue_says_when_to_come_back(speed, expected):
    inbox = Inbox('any', 10, lambda: speed)
    inbox.put(Request(tasks(10), None, Priority.OPEN))
    inbox.put(Request(tasks(10), None, Priority.BULK))
    with pytest.raises(BackendBusyError) as caught:
        inbox.put(Request(tasks(1), None, Priority.BULK))
    assert caught.value.retry_after == pytest.approx(expected)


def test_what_is_late_is_not_computed(runtime):
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    late = runtime.submit(spec(backend), tasks(1, 1), deadline=time.monotonic() - 0.001)
    bulk = runtime.submit(spec(backend), tasks(6, 100), priority=Priority.BULK, deadline=time.monotonic() + 1000)
    backend.gate.set()
    with pytest.raises(DeadlineExceededError, match='recording had no time for it before its deadline') as caught:
        late.result(PATIENCE)
    assert caught.value.code == 'deadline'
    assert scores(bulk) == list(range(100, 106))
    assert backend.instances[0].batches == [[999], [100, 101, 102, 103], [104, 105]]


def test_what_is_withdrawn_is_not_computed(runtime):
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    bulk = runtime.submit(spec(backend), tasks(6, 100), priority=Priority.BULK)
    opened = runtime.submit(spec(backend), tasks(1, 1))
    assert bulk.cancel()
    backend.gate.set()
    assert scores(opened) == [1]
    assert scores(runtime.submit(spec(backend), tasks(1, 2))) == [2]
    assert backend.instances[0].batches == [[999], [1], [2]]
    assert runtime.models()[0].waiting == 0


def test_what_is_withdrawn_while_it_is_computed_leaves_the_others_alone(runtime):
    backend = fresh(Gated)
    withdrawn = closed_gate(runtime, backend)
    assert withdrawn.cancel()
    opened = runtime.submit(spec(backend), tasks(1, 1))
    backend.gate.set()
    assert scores(opened) == [1]


def test_no_tasks_are_answered_at_once(runtime):
    assert runtime.submit(spec(fresh()), []).result(PATIENCE) == []


def test_nothing_to_say_and_failures_of_the_plugin_pass_as_they_are(runtime):
    from ml_plugins import TaskFailure

    said = {0: None, 1: TaskFailure(1, 'too dark')}
    backend = fresh(answer=lambda self, task: said[task.id])
    assert runtime.submit(spec(backend), tasks(2)).result(PATIENCE) == [None, said[1]]


def test_stats_tell_what_a_model_did(runtime):
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    bulk = runtime.submit(spec(backend), tasks(8), priority=Priority.BULK)
    [model] = runtime.models()
    assert (model.stats.waiting, model.stats.batches, model.stats.inference_p50_ms) == (8, 0, None)
    backend.gate.set()
    assert all(isinstance(item, Prediction) for item in bulk.result(PATIENCE))
    stats = model.stats
    assert (stats.requests, stats.tasks, stats.batches, stats.mean_batch, stats.waiting) == (2, 9, 3, 3.0, 0)
    assert 0 <= stats.wait_p50_ms <= stats.wait_p95_ms
    assert 0 < stats.inference_p50_ms <= stats.inference_p95_ms
    assert stats.tasks_per_second > 0


@pytest.mark.parametrize(
    ('members', 'words'),
    [
        ({'max_batch': 0}, 'max_batch is 0; it must be a whole number from 1 on'),
        ({'max_batch': '8'}, "max_batch is '8'; it must be a whole number"),
        ({'max_delay': -1}, 'max_delay is -1; it must be seconds from 0 to 60'),
        ({'max_delay': None}, 'max_delay is None; it must be seconds'),
    ],
)
def test_numbers_that_make_no_sense_are_named(runtime, members, words):
    with pytest.raises(Exception, match=words):
        runtime.submit(spec(fresh(**members)), tasks(1)).result(PATIENCE)
