"""A class of the SDK keeps the contract of a backend."""

from ml_plugins.sdk.backend import backend_of
from ml_plugins.sdk.sources import source_in_folder
from ml_plugins.testing import BackendContract
from tests.sdk.cases import BACKENDS, TEXT_CONFIG, example, tasks


class TestVotes(BackendContract):
    backend_class = backend_of(source_in_folder('votes', BACKENDS / 'votes'))
    label_config = TEXT_CONFIG

    def tasks(self):
        return tasks('a fine day', 'rain again')

    def examples(self):
        return [example(number, 'a fine day', 'good', held_out=number % 5 == 0) for number in range(1, 21)]
