"""Models of the runtime's tests: they note what they are asked, and wait where a test says so."""

import threading
import time

from ml_plugins import MLBackend, Prediction, Serves, Task
from ml_plugins.runtime import ModelSpec

CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)
# Far longer than anything here takes; a test that waits so long has failed.
PATIENCE = 20


class Recording(MLBackend):
    """Says "cat", with a score that tells the task."""

    serves = (Serves('Choices', 'Image'),)
    max_batch = 4

    def setup(self):
        self.batches = []
        self.closed = threading.Event()
        type(self).instances = [*type(self).instances, self]

    def predict(self, tasks, interaction=None):
        self.batches.append([task.id for task in tasks])
        return [self.answer(task) for task in tasks]

    def answer(self, task):
        return Prediction([self.label_config.control('Choices').choices('cat')], score=task.id / 1000)

    def close(self):
        self.closed.set()


class Gated(Recording):
    """Waits in its first batch until the gate is opened."""

    def predict(self, tasks, interaction=None):
        kind = type(self)
        kind.entered.set()
        if len(kind.instances) == 1:
            kind.gate.wait(PATIENCE)
        return super().predict(tasks, interaction)


def fresh(base=Recording, **members):
    """A backend class of its own, whose instances are counted."""
    events = {'entered': threading.Event(), 'gate': threading.Event()} if issubclass(base, Gated) else {}
    return type('Backend', (base,), {'instances': [], **events, **members})


def spec(backend, project=1, version=None, plugin='recording'):
    return ModelSpec(plugin, project, CONFIG, lambda: backend, version_number=version)


def tasks(count, start=0):
    return [Task(number, {'image': 'x'}) for number in range(start, start + count)]


def closed_gate(runtime, backend, **options):
    """A model that is busy with task 999, so that everything else waits."""
    future = runtime.submit(spec(backend, **options), tasks(1, 999))
    assert backend.entered.wait(PATIENCE)
    return future


def scores(future):
    """Answers in short: the task's number for a prediction, the reason for a failure."""
    return [
        round(item.score * 1000) if isinstance(item, Prediction) else item.reason for item in future.result(PATIENCE)
    ]


def eventually(check):
    """Whether something becomes true."""
    end = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
