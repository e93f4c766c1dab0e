"""Torch modules: with weights in a file, trained here, for whole pictures, places in them, numbers and texts."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ml_plugins import PredictionError, Serves, Task, TaskFailure, TrainingError
from ml_plugins.adapters import TorchBackend
from ml_plugins.exceptions import ModelVersionError, PluginBrokenError
from ml_plugins.testing import BackendContract, MemoryDataset, MemoryRun, example_of
from tests.adapters.configs import DIGITS, MOOD, loaded, on_picture, on_text, picture_files
from tests.adapters.test_scikit import chosen, digit_examples

CARS = on_picture(
    '<RectangleLabels name="car" toName="image"><Label value="Car"/><Label value="Bus"/></RectangleLabels>'
)
PARTS = on_picture('<BrushLabels name="part" toName="image"><Label value="Dark"/><Label value="Bright"/></BrushLabels>')


class Digits(TorchBackend):
    """Ten lines."""

    serves = [Serves('Choices', 'Image')]
    trains = True
    picture_size = (8, 8)

    def module(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(8 * 8 * 3, 64), nn.ReLU(), nn.Linear(64, len(self.names)))


class TestDigits(BackendContract):
    backend_class = Digits
    label_config = DIGITS
    params = {'epochs': 10, 'learning_rate': 1e-2}

    def tasks(self):
        return [example.task for example in digit_examples(8)]

    def examples(self):
        return digit_examples()

    def test_it_learns(self, trained):
        assert trained.metrics['accuracy'] > 0.75

    def test_it_serves_active_learning(self, trained):
        [prediction] = self.load(trained).predict(self.tasks()[:1])
        assert prediction.probabilities['digit'].sum() == pytest.approx(1)
        assert prediction.regions[0].value == {'choices': ['0']}

    def test_another_label_in_the_label_config_leaves_a_version_usable(self, trained):
        more = DIGITS.replace('<Choice value="3"/>', '<Choice value="none"/><Choice value="3"/>')
        [prediction] = loaded(Digits, more, version=trained).predict([self.tasks()[3]])
        assert prediction.regions[0].value == {'choices': ['3']}

    def test_weights_that_do_not_fit_are_said(self, trained):
        class Wider(Digits):
            def module(self):
                return nn.Linear(3, 3)

        with pytest.raises(ModelVersionError, match='cannot be loaded'):
            loaded(Wider, DIGITS, version=trained)


def test_parameters_of_training_are_there_where_it_trains():
    assert {'epochs', 'learning_rate', 'batch_size', 'label_map', 'threshold'} == {p.name for p in Digits.params}
    assert Digits.needs_training

    class Fixed(Digits):
        trains = False

    assert not Fixed.can_fit()


def brightness_task(level, number=1):
    files = picture_files(grey=np.full((6, 10, 3), level))
    return Task(number, {'image': '/grey.png'}, files=files)


class Brightness(TorchBackend):
    """A module whose weights are in a file beside it."""

    serves = [Serves('Number', 'Image'), Serves('Choices', 'Image')]
    picture_size = (2, 2)

    def module(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 1))


@pytest.mark.parametrize('suffix', ['.safetensors', '.pt'])
def test_weights_are_read_from_a_file(tmp_path, suffix):
    state = {'1.weight': torch.full((1, 12), 1 / 12), '1.bias': torch.zeros(1)}
    path = tmp_path / f'weights{suffix}'
    save_file(state, path) if suffix == '.safetensors' else torch.save(state, path)

    class WithFile(Brightness):
        weights = str(path)

    backend = loaded(WithFile, on_picture('<Number name="light" toName="image"/>'))
    [prediction] = backend.predict([brightness_task(51)])
    assert prediction.regions[0].value['number'] == pytest.approx(0.2)


def test_a_pickle_is_not_run_as_weights(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath('trapped').write_text, ('x',))

    torch.save({'1.weight': Trap()}, tmp_path / 'weights.pt')

    class WithFile(Brightness):
        weights = str(tmp_path / 'weights.pt')

    with pytest.raises(ModelVersionError, match='cannot be loaded'):
        loaded(WithFile, on_picture('<Number name="light" toName="image"/>'))
    assert not (tmp_path / 'trapped').exists()


class TrainedBrightness(Brightness):
    trains = True


def test_numbers_are_learned(tmp_path):
    xml = on_picture('<Number name="light" toName="image"/>')
    examples = [
        example_of(
            brightness_task(level, level),
            [{'from_name': 'light', 'to_name': 'image', 'type': 'number', 'value': {'number': level / 255}}],
            level % 20 == 0,
        )
        for level in range(0, 250, 5)
    ]
    run = MemoryRun(tmp_path / 'run')
    backend = loaded(TrainedBrightness, xml, {'epochs': 80, 'learning_rate': 0.05})
    metrics = backend.fit(MemoryDataset(examples), run)
    assert metrics['mean_absolute_error'] < 0.05
    [prediction] = loaded(TrainedBrightness, xml, version=run.version()).predict([brightness_task(128)])
    assert prediction.regions[0].value['number'] == pytest.approx(0.5, abs=0.1)


SEVERAL = on_picture(
    '<Choices name="is" toName="image" choice="multiple"><Choice value="dark"/><Choice value="bright"/></Choices>'
)


def test_several_choices_are_learned_and_none_is_an_answer(tmp_path):
    levels = [0, 60, 125, 190, 250] * 6
    names = {0: ['dark'], 60: ['dark'], 190: ['bright'], 250: ['bright']}
    examples = [
        example_of(brightness_task(level, number), chosen(*names.get(level, []), name='is'), number % 10 == 0)
        for number, level in enumerate(levels)
    ]
    run = MemoryRun(tmp_path / 'run')

    class Wide(TrainedBrightness):
        def module(self):
            torch.manual_seed(0)
            return nn.Sequential(nn.Flatten(), nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, len(self.names)))

    loaded(Wide, SEVERAL, {'epochs': 60, 'learning_rate': 0.02}).fit(MemoryDataset(examples), run)
    backend = loaded(Wide, SEVERAL, version=run.version())
    dark, middle, bright = backend.predict([brightness_task(level) for level in (0, 125, 250)])
    assert [region.value for region in dark.regions] == [{'choices': ['dark']}]
    assert middle.regions == []
    assert [region.value for region in bright.regions] == [{'choices': ['bright']}]


def test_labels_that_the_module_has_no_output_for_are_named(tmp_path):
    class Few(Digits):
        labels = tuple('012345678')

    with pytest.raises(TrainingError, match='"9"'):
        loaded(Few, DIGITS).fit(MemoryDataset(digit_examples(60)), MemoryRun(tmp_path / 'run'))


class Detector(nn.Module):
    """Finds what is bright, as torchvision's detectors say it: a list of dicts, sizes of pictures may differ."""

    def forward(self, pictures):
        found = []
        for picture in pictures:
            places = (picture.mean(0) > 0.5).nonzero()
            low, high = places.min(0).values, places.max(0).values + 1
            box = torch.stack([low[1], low[0], high[1], high[0]]).float()
            found.append({'boxes': box[None], 'labels': torch.tensor([2]), 'scores': torch.tensor([0.75])})
        return found


class Cars(TorchBackend):
    serves = [Serves('RectangleLabels', 'Image')]
    labels = ('background', 'Car', 'bus')
    picture_size = None

    def module(self):
        return Detector()


def corner(width, height):
    array = np.zeros((height, width, 3))
    array[: height // 2, : width // 4] = 255
    return array


@pytest.mark.parametrize('size', [None, (40, 20)])
def test_a_detector_of_torchvisions_kind_answers_in_percent(size):
    class Sized(Cars):
        picture_size = size

    files = picture_files(one=corner(80, 40), two=corner(40, 60))
    tasks = [Task(1, {'image': '/one.png'}, files=files), Task(2, {'image': '/two.png'}, files=files)]
    for prediction in loaded(Sized, CARS).predict(tasks):
        [region] = prediction.regions
        assert region.value['rectanglelabels'] == ['Bus']
        assert [region.value[key] for key in ('x', 'y', 'width', 'height')] == pytest.approx([0, 0, 25, 50], abs=4)
        assert prediction.score == 0.75


def test_a_real_detector_of_torchvision_fits():
    from ml_plugins.torch_support import import_torchvision

    class Real(TorchBackend):
        serves = [Serves('RectangleLabels', 'Image')]
        labels = ('background', 'Car', 'Bus')
        picture_size = None

        def module(self):
            torch.manual_seed(0)
            models = import_torchvision().models.detection
            return models.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)

    backend = loaded(Real, CARS, {'threshold': 0.0})
    files = picture_files(one=corner(80, 40))
    [prediction] = backend.predict([Task(1, {'image': '/one.png'}, files=files)])
    backend.label_config.check(prediction)
    assert prediction.regions


@pytest.mark.parametrize('background', [0, 1])
def test_a_segmentation_answers_with_masks_of_the_pictures_size(background):
    class Planes(nn.Module):
        def forward(self, batch):
            grey = batch.mean(1)
            planes = [torch.full_like(grey, -1)] * background + [0.5 - grey, grey - 0.5]
            return {'out': torch.stack(planes, dim=1)}

    class Parts(TorchBackend):
        serves = [Serves('BrushLabels', 'Image')]
        picture_size = (40, 20)

        def module(self):
            return Planes()

    from label_studio_sdk.converter.brush import decode_rle

    backend = loaded(Parts, PARTS)
    files = picture_files(one=corner(80, 40))
    [prediction] = backend.predict([Task(1, {'image': '/one.png'}, files=files)])
    backend.label_config.check(prediction)
    shares = {
        region.value['brushlabels'][0]: (decode_rle(region.value['rle']) > 0).mean() for region in prediction.regions
    }
    assert shares == pytest.approx({'Dark': 0.875, 'Bright': 0.125}, abs=0.02)


class Lengths(TorchBackend):
    """Texts, with a tokenizer of its own and an embedding for active learning."""

    serves = [Serves('Choices', 'Text')]

    def module(self):
        return nn.Identity()

    def preprocess(self, text):
        return torch.tensor([float(len(text)), 10.0])

    def forward(self, batch):
        return {'logits': self.model(batch), 'embedding': batch}


def test_texts_with_a_tokenizer_of_their_own_and_an_embedding():
    long, short = loaded(Lengths, MOOD).predict([Task(1, {'text': 'x' * 20}), Task(2, {'text': 'x'})])
    assert [item.regions[0].value['choices'] for item in (long, short)] == [['good'], ['bad']]
    assert long.embedding.tolist() == [20, 10]


def test_a_text_without_a_tokenizer_says_what_to_override():
    class Raw(Lengths):
        preprocess = TorchBackend.preprocess

    with pytest.raises(PluginBrokenError, match='override preprocess'):
        loaded(Raw, MOOD).predict([Task(1, {'text': 'x'})])


def test_a_wrong_number_of_rows_and_of_outputs_is_named():
    class Fewer(Lengths):
        def forward(self, batch):
            return batch[:1]

    with pytest.raises(PredictionError, match='1 results for 2 inputs'):
        loaded(Fewer, MOOD).predict([Task(1, {'text': 'x'}), Task(2, {'text': 'y'})])

    class More(Lengths):
        def forward(self, batch):
            return torch.zeros(len(batch), 5)

    [failure] = loaded(More, MOOD).predict([Task(1, {'text': 'x'})])
    assert isinstance(failure, TaskFailure)
    assert 'shape (5,) for 2 labels (good, bad)' in failure.reason


def test_numbers_that_are_not_finite_fail_alone():
    class Odd(Lengths):
        def forward(self, batch):
            return batch / (batch[:, :1] - 1)

    odd, fine = loaded(Odd, MOOD).predict([Task(1, {'text': 'x'}), Task(2, {'text': 'xxx'})])
    assert 'not all finite' in odd.reason
    assert fine.regions


def test_regions_that_nothing_is_known_of_say_what_to_override():
    xml = on_text('<Labels name="word" toName="text"><Label value="Long"/></Labels>')

    class Spans(Lengths):
        serves = [Serves('Labels', 'Text')]

        def forward(self, batch):
            return batch

    [failure] = loaded(Spans, xml).predict([Task(1, {'text': 'x'})])
    assert 'override postprocess' in failure.reason
