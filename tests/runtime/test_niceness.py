"""Threads that compute give way to those that answer people."""

import os
import sys
import threading

import pytest

from ml_plugins import MLBackend, Serves
from ml_plugins.runtime import ModelSpec, Runtime, RuntimeLimits

CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/></Choices></View>'
)


def own_niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


class Nice(MLBackend):
    serves = (Serves('Choices', 'Image'),)
    seen = []

    def setup(self):
        self.seen.append(own_niceness())
        # As the threads of a numerical library.
        thread = threading.Thread(target=lambda: self.seen.append(own_niceness()))
        thread.start()
        thread.join()

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]


@pytest.mark.skipif(sys.platform != 'linux', reason='threads have priorities of their own on Linux only')
@pytest.mark.parametrize('niceness', [0, 3])
def test_a_model_and_its_threads_are_as_nice_as_the_host_says(niceness):
    Nice.seen = []
    before = own_niceness()
    runtime = Runtime(RuntimeLimits(niceness=niceness))
    try:
        runtime.warm(ModelSpec('nice', 1, CONFIG, lambda: Nice)).result(timeout=10)
    finally:
        runtime.close()
    assert Nice.seen == [niceness or before] * 2
    assert own_niceness() == before
