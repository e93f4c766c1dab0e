"""What `fit` is given beside the examples: a seed, what changed, where to keep checkpoints."""

import random

import numpy as np
import pytest

from label_studio.ml_host.upstream import Annotation
from ml_plugins import torch_support
from tests.training.conftest import CountingBackend

pytestmark = pytest.mark.django_db(transaction=True)


class Telling(CountingBackend):
    """Keeps what it was given."""

    given: list = []

    def fit_well(self, dataset, run):
        drawn = (random.random(), float(np.random.default_rng(run.seed).random()), float(np.random.random()))
        names = sorted(path.name for path in run.checkpoint_directory.iterdir())
        (run.checkpoint_directory / 'state').write_text('1')
        type(self).given.append((drawn, dataset.changes, names, run.checkpoint_directory))
        return super().fit_well(dataset, run)


@pytest.fixture
def telling(ask, inline_plugins, work):
    """Trains once and gives what `fit` was given."""
    inline_plugins('counting', Telling)
    Telling.given.clear()

    def train():
        run = ask()
        work()
        run.refresh_from_db()
        assert (run.state, run.error) == ('finished', '')
        return Telling.given[-1]

    return train


def test_generators_are_seeded(telling, label):
    label(2)
    first = telling()[0]
    random.seed()
    np.random.seed()
    assert telling()[0] == first


def test_torch_is_seeded_now_or_when_it_is_loaded():
    import torch

    torch_support.seed(7)
    first = torch.rand(3)
    torch_support.seed(7)
    assert torch.equal(torch.rand(3), first)
    # As when it is loaded later, by one of the functions for that.
    torch_support._seed = 7
    torch_support.use_threads()
    assert torch.equal(torch.rand(3), first)
    # Once: the generator goes on.
    torch_support.use_threads()
    assert not torch.equal(torch.rand(3), first)


def test_changes_are_those_since_the_version_in_service(telling, label):
    tasks = label(4)
    assert telling()[1] is None
    assert not telling()[1]
    value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['dog']}}
    Annotation.objects.filter(task=tasks[1]).update(result=[value])
    Annotation.objects.filter(task=tasks[2]).delete()
    (added,) = label(1)
    changes = telling()[1]
    assert (changes.added, changes.changed, changes.removed) == ((added.pk,), (tasks[1].pk,), (tasks[2].pk,))


def test_a_checkpoint_is_of_one_run_only(telling, label):
    label(2)
    _, _, names, folder = telling()
    assert names == []
    assert not folder.exists()
    assert telling()[2] == []
