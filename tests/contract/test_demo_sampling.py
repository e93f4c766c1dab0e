"""The demo's strategy and stopping criterion: found by their entry points, and true to the contract."""

import json

import numpy as np
import pytest

from ml_plugins.strategies import History, Labeled, Pool, Round
from ml_plugins.testing import QueryStrategyContract

ASKED = """
import json
from ml_plugins.strategies import Needs, History, criterion, offers, strategy_classes
offered = {offer.name: offer.why_not for offer in offers(Needs())}
advice = criterion('demo_good_enough').look(History())
print(json.dumps([offered['demo_one_label'], strategy_classes()['demo_one_label'].title, advice.sentence]))
"""


def test_an_installed_package_brings_both(run_python, demo_path):
    done = run_python(ASKED, demo_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        'The ML backend gives no class probabilities.',
        'One label first',
        'No model has been measured yet.',
    ]


class TestOneLabel(QueryStrategyContract):
    @pytest.fixture(autouse=True)
    def _demo_is_importable(self, demo_backend):
        from mlp_demo.sampling import OneLabel

        type(self).strategy_class = OneLabel

    def test_the_label_comes_first(self):
        pool = Pool(np.arange(3), {'mood': np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])})
        rng = np.random.default_rng(0)
        assert self.strategy().select(pool, Labeled(), 3, rng).tolist() == [1, 2, 0]
        assert self.strategy_class(number=1).select(pool, Labeled(), 3, rng).tolist() == [0, 2, 1]


def test_good_enough_is_said_with_numbers(demo_backend):
    from mlp_demo.sampling import GoodEnough

    advice = GoodEnough(score=0.9).look(History([Round(10, score=0.5), Round(20, score=0.92), Round(30)]))
    assert advice.stop
    assert advice.sentence == 'The score is 0.92; 0.90 is asked.'
    assert not GoodEnough().look(History([Round(10, score=0.92)])).stop
