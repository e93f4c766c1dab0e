import ctypes
import os

from ml_plugins import MLBackend, Prediction, Serves


class BrokenBackend(MLBackend):
    """Does what the first word of a text says, else predicts the first choice."""

    serves = (Serves('Choices', 'Text'),)
    fence = 'process'
    fence_memory = 300 * 2**20

    def predict(self, tasks, interaction=None):
        return [self._predict_one(task) for task in tasks]

    def _predict_one(self, task):
        control = self.label_config.control('Choices', 'Text')
        word = task.text(control.value).partition(' ')[0]
        if word == 'segfault':
            ctypes.string_at(0)
        elif word == 'leave':
            os._exit(3)
        elif word == 'allocate':
            bytearray(500 * 2**20)
        elif word == 'hang':
            # PyDLL keeps the interpreter locked: no thread of this process runs any more.
            ctypes.PyDLL(None).sleep(600)
        elif word == 'raise':
            raise ValueError('broken in predict')
        return Prediction([control.choices(control.labels[0])], score=0.5)
