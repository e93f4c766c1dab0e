"""Figures of the runtime: counted where they happen, given out in Prometheus's format."""

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml_plugins import MLBackend, Prediction, Task
from ml_plugins.failures import PluginFailure, Stage, failure_log
from ml_plugins.runtime import ModelSpec, Priority, Runtime, metrics

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(metrics, '_made', None)
    failure_log.clear()


def read() -> dict[str, float]:
    """Values by name and labels, as Prometheus reads them."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {key(item.name, **item.labels): item.value for family in families for item in family.samples}


def key(name: str, **labels: str) -> str:
    return ' '.join([name.removeprefix('label_studio_ml_'), *(f'{word}={labels[word]}' for word in sorted(labels))])


def test_each_figure_has_its_name():
    metrics.request('cats', Priority.INTERACTIVE)
    metrics.request('cats', 'bulk')
    metrics.batch('cats', 3)
    metrics.queue_wait('cats', 0.004)
    metrics.inference('cats', 0.2)
    metrics.load('cats', 7.5, True)
    metrics.load('cats', 1.0, False)
    found = read()
    assert found['requests_total plugin=cats priority=interactive'] == 1
    assert found['requests_total plugin=cats priority=bulk'] == 1
    assert found['batch_size_sum plugin=cats'] == 3
    assert found['batch_size_bucket le=2.0 plugin=cats'] == 0
    assert found['batch_size_bucket le=4.0 plugin=cats'] == 1
    assert found['queue_wait_seconds_bucket le=0.005 plugin=cats'] == 1
    assert found['inference_seconds_bucket le=0.1 plugin=cats'] == 0
    assert found['inference_seconds_count plugin=cats'] == 1
    assert found['loads_total plugin=cats result=ok'] == 1
    assert found['loads_total plugin=cats result=failed'] == 1
    assert found['load_seconds_bucket le=10.0 plugin=cats'] == 1


def test_failures_are_counted_whether_recorded_or_not():
    failure_log.record(PluginFailure('cats', Stage.FIT, 'ValueError: x'))
    failure_log.record(PluginFailure('cats', Stage.PREDICT, 'ValueError: x'))
    metrics.failure('cats', Stage.PREDICT)
    metrics.failure('cats', 'deadline')
    found = {name: value for name, value in read().items() if name.startswith('failures_total')}
    start = 'failures_total plugin=cats stage='
    assert found == {f'{start}fit': 1, f'{start}predict': 2, f'{start}deadline': 1}


def test_odd_names_do_not_break_the_format():
    metrics.batch('a"b\\c\nd', 1)
    assert read()[key('batch_size_count', plugin='a"b\\c\nd')] == 1


class Moody(MLBackend):
    def predict(self, tasks, interaction=None):
        if any(task.data['text'] == 'bad' for task in tasks):
            raise ValueError('no good')
        return [Prediction() for _ in tasks]


def test_a_model_at_work_is_measured():
    runtime = Runtime()
    spec = ModelSpec('moody', 1, CONFIG, lambda: Moody)
    try:
        runtime.submit(spec, [Task(1, {'text': 'good'}), Task(2, {'text': 'good'})]).result(10)
        with pytest.raises(ValueError, match='no good'):
            runtime.submit(spec, [Task(3, {'text': 'bad'})], priority=Priority.BULK).result(10)
    finally:
        runtime.close()
    found = read()
    assert found['requests_total plugin=moody priority=open'] == 1
    assert found['requests_total plugin=moody priority=bulk'] == 1
    assert (found['batch_size_count plugin=moody'], found['batch_size_sum plugin=moody']) == (2, 3)
    assert found['queue_wait_seconds_count plugin=moody'] == 2
    assert found['loads_total plugin=moody result=ok'] == 1
    assert found['failures_total plugin=moody stage=predict'] == 1


def test_the_client_library_is_imported_with_the_first_figure():
    script = (
        'import sys\nfrom ml_plugins.runtime import metrics\nassert "prometheus_client" not in sys.modules\n'
        'metrics.batch("cats", 1)\nassert "prometheus_client" in sys.modules'
    )
    subprocess.run([sys.executable, '-c', script], check=True, timeout=60)
