"""What a model has to tell people reaches the record of its project, from a thread and from a process of its own."""

import logging

import pytest

from ml_plugins import Task, notice
from ml_plugins.failures import Stage, failure_log
from ml_plugins.runtime import ModelSpec, Runtime, RuntimeLimits, fence
from tests.runtime import fenced


class InThread(fenced.Fenced):
    fence = 'thread'


@pytest.mark.parametrize('kind', [InThread, fenced.Fenced])
def test_a_notice_is_recorded_and_is_no_failure(kind, monkeypatch):
    monkeypatch.setattr(fence, 'bootstrap', 'tests.runtime.fenced:setup')
    failure_log.clear()
    runtime = Runtime(RuntimeLimits())
    try:
        spec = ModelSpec('fenced', 7, fenced.CONFIG, lambda: kind)
        answers = runtime.submit(spec, [Task(1, {'text': 'tell'})]).result(60)
    finally:
        runtime.close()
    assert answers[0].score == 0.25
    [record] = failure_log.of('fenced')
    assert (record.stage, record.error, record.project_id) == (Stage.NOTICE, '"lion" is left out', 7)
    assert not failure_log.counts()


def test_outside_of_a_server_it_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        notice('"lion" is left out')
    assert caplog.messages == ['"lion" is left out']
