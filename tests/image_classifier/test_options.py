import json

import pytest

from ml_plugins.contrib.image_classifier.backbones import load_backbone
from ml_plugins.exceptions import ModelVersionError, ParameterError, TrainingError
from ml_plugins.testing.fakes import MemoryDataset


def two_colours(bench, count=6, held_out=2):
    return [bench.example(i, ('red', 'green')[i % 2], i >= count) for i in range(count + held_out)]


def test_torchvision_backbone(bench):
    run = bench.run()
    bench.backend(backbone='mobilenet_v3_small').fit(MemoryDataset(two_colours(bench)), run)
    # Its weights are not in a package: the version holds them, whatever the parameters say later.
    assert (run.directory / 'backbone.safetensors').is_file()
    result = bench.backend(run=run).predict([bench.task(100, 'red')])[0]
    assert result.embedding.shape == (1024,)


@pytest.mark.parametrize(('name', 'size'), [('squeezenet1_1', 512), ('resnet18', 512), ('shufflenet_v2_x0_5', 1024)])
def test_classification_layer_is_found(name, size):
    import torch

    backbone = load_backbone(name)
    assert backbone.size == size
    with torch.inference_mode():
        assert backbone.features(torch.zeros(2, 3, 224, 224, dtype=torch.uint8)).shape == (2, size)


def test_random_weights_are_the_same_each_time():
    first, second = (load_backbone('squeezenet1_1').module.state_dict() for _ in range(2))
    assert all(first[name].equal(second[name]) for name in first)


def test_unknown_backbone_lists_what_there_is(bench):
    with pytest.raises(ParameterError, match=r'there is no "resnet19".*efficientnet_lite0.*resnet18'):
        bench.backend(backbone='resnet19').setup()
    with pytest.raises(TrainingError, match='there is no "resnet19"'):
        bench.backend(backbone='resnet19').fit(MemoryDataset(two_colours(bench)), bench.run())


def test_weights_from_a_file(tmp_path):
    import torch

    module = load_backbone('squeezenet1_1').module
    state = {name: torch.ones_like(tensor) for name, tensor in module.state_dict().items()}
    path = tmp_path / 'weights.pth'
    # A file of the whole network has the classification layer too.
    torch.save({**state, 'classifier.1.weight': torch.zeros(1000, 512, 1, 1)}, path)
    loaded = load_backbone('squeezenet1_1', str(path))
    assert loaded.module.state_dict()['features.0.weight'].eq(1).all()
    with pytest.raises(ParameterError, match='does not fit resnet18'):
        load_backbone('resnet18', str(path))
    with pytest.raises(ParameterError, match='there is no file'):
        load_backbone('resnet18', str(tmp_path / 'absent.pth'))
    path.write_bytes(b'rubbish')
    with pytest.raises(ParameterError, match='not a file of weights'):
        load_backbone('squeezenet1_1', str(path))


def test_fine_tuning(bench):
    run = bench.run()
    examples = two_colours(bench)
    metrics = bench.backend(fine_tune=True, epochs=1, batch_size=3).fit(MemoryDataset(examples), run)
    assert metrics['accuracy'] == 1.0
    assert metrics['train_size'] == 6.0 and metrics['held_out_size'] == 2.0
    assert run.reports == sorted(run.reports) and run.reports[-1][0] == run.reports[-1][1]
    assert json.loads((run.directory / 'config.json').read_text())['fine_tuned'] is True
    assert (run.directory / 'backbone.safetensors').is_file()
    red, green = bench.backend(run=run).predict([bench.task(100, 'red'), bench.task(101, 'green')])
    assert red.regions[0].value == {'choices': ['red']} and green.regions[0].value == {'choices': ['green']}


def test_other_pretrained_weights_are_noticed(bench):
    run = bench.run()
    bench.backend().fit(MemoryDataset(two_colours(bench)), run)
    path = run.directory / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'fingerprint': 'efficientnet_lite0-older'}))
    with pytest.raises(ModelVersionError, match='train again'):
        bench.backend(run=run)


@pytest.mark.parametrize('count', [1, 3])
def test_the_folded_network_computes_the_same(count):
    import torch

    backbone = load_backbone()
    pictures = torch.randint(0, 255, (count, 3, 224, 224), generator=torch.manual_seed(0)).to(torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(backbone.folded().features(pictures), backbone.features(pictures), rtol=0, atol=1e-4)
    # What is learned later does not change what was folded before.
    folded = backbone.folded()
    with torch.inference_mode():
        before = folded.features(pictures)
        backbone.module._conv_head.weight.mul_(2)
        assert folded.features(pictures).equal(before)
        assert not backbone.folded().features(pictures).allclose(before, atol=1e-3)
