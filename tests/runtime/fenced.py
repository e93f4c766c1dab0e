"""Backends that run in a process of their own, and the function that makes them known there."""

import ctypes
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from ml_plugins import MLBackend, Param, Prediction, Serves, TaskFailure, notice
from tests.inline_plugins import register

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
MIB = 2**20


class ForeignError(Exception):
    pass


class Foreign:
    pass


class Fenced(MLBackend):
    """Does what the text of a task says."""

    serves = (Serves('Choices', 'Text'),)
    params = (Param('label', 'good'), Param('setup', ''))
    fence = 'process'

    def setup(self):
        if word := self.param_values['setup']:
            getattr(self, word)(None)

    def predict(self, tasks, interaction=None):
        self.tasks = tasks
        self.interaction = interaction
        return [getattr(self, task.data['text'].partition(' ')[0])(task) for task in tasks]

    def good(self, task):
        control = self.label_config.control('Choices')
        return Prediction(
            [control.choices(self.param_values['label'], score=np.float32(0.5))],
            score=np.float32(0.25),
            probabilities={'mood': np.array([0.75, 0.25], dtype=np.float32)},
            embedding=[float(os.getpid()), float(os.getppid())],
        )

    def tell(self, task):
        notice('"lion" is left out')
        return self.good(task)

    def click(self, task):
        return TaskFailure(task.id, repr(self.interaction))

    def read(self, task):
        return TaskFailure(task.id, f'{task.bytes("file")!r} {task.path("file")} {task.text("file")}')

    def read_other(self, task):
        other = replace(task, data={'other': '/data/b.txt'})
        return TaskFailure(task.id, other.text('other'))

    def read_in_threads(self, task):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda one: one.text('file'), [*self.tasks, *self.tasks]))
        return TaskFailure(task.id, ' '.join(found))

    def read_on_its_own(self, task):
        return TaskFailure(task.id, str(task.files))

    def segfault(self, task):
        ctypes.string_at(0)

    def leave(self, task):
        os._exit(3)

    def abort(self, task):
        os.abort()

    def system_exit(self, task):
        raise SystemExit('no more')

    def allocate(self, task):
        self.block = bytearray(400 * MIB)
        return self.good(task)

    def grow(self, task):
        # Freed when the batch is done: what a batch takes grows with its tasks.
        self.tasks[0].meta.setdefault('blocks', []).append(bytearray(120 * MIB))
        return self.good(task)

    def hang(self, task):
        time.sleep(600)

    def hang_in_native_code(self, task):
        # PyDLL keeps the interpreter locked, as native code may that never lets go of it.
        ctypes.PyDLL(None).sleep(600)

    def value_error(self, task):
        raise ValueError('no good')

    def key_error(self, task):
        return {}['colour']

    def foreign_error(self, task):
        raise ForeignError('out of ideas')

    def foreign(self, task):
        return Prediction([], probabilities={'mood': [0.5, 0.5]}, score=0.5), Foreign()

    def number(self, task):
        control = self.label_config.control('Choices')
        return Prediction([control.region({'choices': ['good'], 'count': np.int64(3)})])

    def torch(self, task):
        import torch

        self.weights = torch.ones(2)
        return self.good(task) if task else None

    def tensor(self, task):
        import torch

        return Prediction([], score=torch.tensor(0.5), embedding=torch.ones(3))


class Limited(Fenced):
    """May take 200 MiB."""

    fence_memory = 200 * MIB
    max_batch = 4


def setup():
    """What a host's bootstrap does: make the plugins known."""
    register('fenced', Fenced)
    register('limited', Limited)


def broken_setup():
    """A bootstrap that fails."""
    raise ForeignError('this host is not well')
