"""Features on disk: mapped, merged, shared with the process that predicts; and checkpoints of fine-tuning."""

import numpy as np
import pytest

from ml_plugins.contrib.image_classifier import feature_store, features
from ml_plugins.contrib.image_classifier.backend import ImageClassifier
from ml_plugins.contrib.image_classifier.checkpoint import Checkpoint, State
from ml_plugins.contrib.image_classifier.feature_store import FeatureStore
from ml_plugins.testing.fakes import MemoryDataset, MemoryRun
from ml_plugins.types import Task

from .conftest import COLOUR_CONFIG, COLOURS


def task(number):
    return Task(number, {'image': f'/{number}.png'})


def fill(store, numbers):
    for number in numbers:
        store.put(task(number), 'image', np.full(4, number, np.float32))
    store.flush()


def files(folder):
    return sorted(folder.rglob('*.safetensors'))


def test_vectors_stay_on_the_disk_until_they_are_wanted(tmp_path):
    fill(FeatureStore(tmp_path, 'print'), range(3))
    store = FeatureStore(tmp_path, 'print')
    found = store.get(task(2), 'image')
    assert isinstance(found, np.memmap)
    assert found.tolist() == [2, 2, 2, 2]
    assert store.get(task(3), 'image') is None
    assert store.get(Task(2, {'image': '/other.png'}), 'image') is None
    assert FeatureStore(tmp_path, 'other').get(task(2), 'image') is None


def test_any_reader_of_safetensors_reads_them(tmp_path):
    from safetensors.numpy import load_file

    fill(FeatureStore(tmp_path, 'print'), range(3))
    (path,) = files(tmp_path)
    assert load_file(path)['features'].tolist() == [[number] * 4 for number in range(3)]


@pytest.mark.parametrize('damage', ['cut', 'rubbish', 'empty'])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    fill(FeatureStore(tmp_path, 'print'), range(3))
    (path,) = files(tmp_path)
    path.write_bytes({'cut': path.read_bytes()[:-1], 'rubbish': b'rubbish' * 9, 'empty': b''}[damage])
    store = FeatureStore(tmp_path, 'print')
    assert store.get(task(1), 'image') is None
    assert files(tmp_path) == []
    fill(store, range(3))
    assert FeatureStore(tmp_path, 'print').get(task(1), 'image').tolist() == [1] * 4


def test_another_process_sees_what_is_new_and_what_was_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, '_MOST_SMALL', 3)
    store, other = FeatureStore(tmp_path, 'print'), FeatureStore(tmp_path, 'print')
    for number in range(3):
        fill(store, [number])
    other.renew()
    assert other.get(task(1), 'image').tolist() == [1] * 4
    held = other.get(task(2), 'image')
    fill(store, [3])
    assert len(files(tmp_path)) == 1
    other.renew()
    assert [other.get(task(number), 'image')[0] for number in range(4)] == [0, 1, 2, 3]
    assert held.tolist() == [2] * 4


def test_a_full_disk_loses_no_features_of_this_run(tmp_path, monkeypatch):
    def refuse(path, parts):
        raise OSError(28, 'No space left on device')

    store = FeatureStore(tmp_path, 'print')
    monkeypatch.setattr(feature_store, 'write_shard', refuse)
    fill(store, range(2))
    assert store.get(task(1), 'image').tolist() == [1] * 4


def test_known_pictures_are_not_computed_again_when_they_are_predicted(bench, monkeypatch):
    run = bench.run()
    examples = [bench.example(number, tuple(COLOURS)[number % 3], number >= 6) for number in range(9)]
    bench.backend().fit(MemoryDataset(examples), run)
    from ml_plugins.backend import BackendContext
    from ml_plugins.label_config import parse_label_config

    config = parse_label_config(COLOUR_CONFIG)
    plain, kept = (
        ImageClassifier(BackendContext(config, version=run.version(), cache_directory=folder))
        for folder in (None, bench.folder / 'cache')
    )
    plain.setup()
    kept.setup()
    computed = []
    compute = features.compute
    monkeypatch.setattr(features, 'compute', lambda b, wanted: computed.append(len(wanted)) or compute(b, wanted))
    tasks = [*(example.task for example in examples), bench.task(50, 'red')]
    fast = kept.predict(tasks)
    assert computed == [1]
    for one, other in zip(fast, plain.predict(tasks), strict=True):
        assert one.regions[0].value == other.regions[0].value
        assert one.probabilities['colour'] == pytest.approx(other.probabilities['colour'], abs=1e-6)
        assert not isinstance(one.embedding, np.memmap)
    # Data that is no task has no number to know it by.
    computed.clear()
    kept.predict([Task(None, examples[0].task.data, files=bench.files)])
    assert computed == [1]


def state(seed):
    import torch

    torch.manual_seed(seed)
    module, layer = torch.nn.Linear(2, 2), torch.nn.Linear(2, 3)
    optimizer = torch.optim.AdamW([*module.parameters(), *layer.parameters()])
    layer(module(torch.ones(1, 2))).sum().backward()
    optimizer.step()
    return State(module, {'colour': layer}, optimizer, np.random.default_rng(seed))


def test_a_checkpoint_gives_everything_back(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    saved, fresh = state(1), state(2)
    assert Checkpoint(run, {'pictures': 6}).load(fresh, 'cpu') == 0
    Checkpoint(run, {'pictures': 6}).save(saved, 2)
    assert Checkpoint(run, {'pictures': 6}).load(fresh, 'cpu') == 2
    assert fresh.backbone.weight.equal(saved.backbone.weight)
    assert fresh.layers['colour'].bias.equal(saved.layers['colour'].bias)
    assert fresh.random.random() == saved.random.random()
    first, second = (item.optimizer.state_dict()['state'][0]['exp_avg'] for item in (fresh, saved))
    assert first.equal(second)


def test_a_checkpoint_of_other_labels_or_a_damaged_one_is_not_used(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    Checkpoint(run, {'pictures': 6}).save(state(1), 2)
    assert Checkpoint(run, {'pictures': 7}).load(state(2), 'cpu') == 0
    assert 'of other labels; training starts over' in run.log_lines[-1]
    (path,) = run.checkpoint_directory.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert Checkpoint(run, {'pictures': 6}).load(state(2), 'cpu') == 0
    assert 'cannot be read' in run.log_lines[-1]
