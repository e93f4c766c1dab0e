"""A plugin that learns."""

import pytest

from label_studio.ml_host.api import state
from ml_plugins.params import Param
from tests.inline_plugins import ConstantBackend


class LearningBackend(ConstantBackend):
    params = (Param('epochs', 5, 'How often the data is seen.', minimum=1, maximum=50),)

    def fit(self, dataset, run):
        return {'accuracy': 1.0}


@pytest.fixture
def learner(inline_plugins):
    yield inline_plugins('learner', LearningBackend)
    state._reported.clear()
