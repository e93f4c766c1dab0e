"""A backend that reads a version's files in `setup`, known in the child process that tries uploads as well."""

import json
import os
import signal

from ml_plugins import MLBackend, Param, Serves


class ReadingBackend(MLBackend):
    """Says nothing; ends its process when the weights say so."""

    serves = (Serves('Choices', 'Image'),)
    params = (Param('mode', 'well'), Param('folder', ''))
    safe_files = ('weights.bin',)

    def setup(self):
        if self.version is None:
            return
        self.size = json.loads((self.version.path / 'config.json').read_text())['size']
        if (self.version.path / 'deep' / 'weights.txt').read_text() == 'crash':
            os.kill(os.getpid(), signal.SIGSEGV)

    def fit(self, dataset, run):
        return {}

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]


def setup() -> None:
    """What the child does instead of the host's bootstrap."""
    from tests.inline_plugins import register

    register('counting', ReadingBackend)
