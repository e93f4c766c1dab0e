"""ONNX files: made here with the onnx library, for pictures, texts and rows of numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ml_plugins import Serves, Task, TaskFailure
from ml_plugins.adapters import OnnxBackend
from ml_plugins.exceptions import PluginBrokenError, RequirementMissingError
from ml_plugins.testing import BackendContract
from tests.adapters.configs import DIGITS, MOOD, loaded, on_picture, on_text, picture_files

onnx = pytest.importorskip('onnx', reason="pip install 'label-studio[onnx]' and onnx to run these")
pytest.importorskip('onnxruntime', reason="pip install 'label-studio[onnx]' to run these")
helper = onnx.helper
FLOAT, STRING, BYTES, INTS = (getattr(onnx.TensorProto, name) for name in ('FLOAT', 'STRING', 'UINT8', 'INT64'))


def write(path, nodes, inputs, outputs, constants=()):
    """A model of a few nodes; inputs and outputs as (name, kind, shape)."""
    graph = helper.make_graph(
        nodes,
        'test',
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 19)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return str(path)


def linear(path, weights, bias, shape, kind=FLOAT):
    """Flatten, cast, multiply and add: the logits of a linear classifier."""
    nodes = [
        helper.make_node('Flatten', ['picture'], ['flat']),
        helper.make_node('Cast', ['flat'], ['numbers'], to=FLOAT),
        helper.make_node('Gemm', ['numbers', 'weights', 'bias'], ['scores']),
    ]
    constants = [('weights', weights.astype(np.float32)), ('bias', bias.astype(np.float32))]
    return write(path, nodes, [('picture', kind, shape)], [('scores', FLOAT, [None, weights.shape[1]])], constants)


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """A classifier of scikit-learn's digits, trained there and written as ONNX by hand."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    pictures, labels = load_digits(return_X_y=True)
    trained = LogisticRegression(max_iter=200).fit(pictures[300:] * 15 / 255, labels[300:])
    path = tmp_path_factory.mktemp('onnx') / 'digits.onnx'
    return linear(path, trained.coef_.T, trained.intercept_, ['batch', 1, 8, 8])


def digit_tasks(count):
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    files = picture_files(**{str(place): pictures[place].reshape(8, 8) * 15 for place in range(count)})
    tasks = [Task(place, {'image': f'/{place}.png'}, files=files) for place in range(count)]
    return tasks, [str(label) for label in labels[:count]]


class Digits(OnnxBackend):
    """Three lines, with `model`."""

    serves = [Serves('Choices', 'Image')]


@pytest.fixture(autouse=True)
def _file(digits):
    Digits.model = digits


class TestDigits(BackendContract):
    backend_class = Digits
    label_config = DIGITS

    def tasks(self):
        return digit_tasks(8)[0]


def test_digits_are_read():
    tasks, truth = digit_tasks(200)
    predictions = loaded(Digits, DIGITS).predict(tasks)
    said = [prediction.regions[0].value['choices'][0] for prediction in predictions]
    assert np.mean([one == other for one, other in zip(said, truth, strict=True)]) > 0.85
    assert predictions[0].probabilities['digit'].sum() == pytest.approx(1)


BRIGHT = on_picture('<Choices name="is" toName="image"><Choice value="dark"/><Choice value="bright"/></Choices>')


def bright_model(path, shape, kind=FLOAT, largest=1.0):
    """Two scores: how dark and how bright a picture is on average."""
    count = int(np.prod([size for size in shape[1:] if isinstance(size, int)]))
    weights = np.stack([np.full(count, -10 / count / largest), np.full(count, 10 / count / largest)], axis=1)
    return linear(path, weights, np.array([5.0, -5.0]), shape, kind)


@pytest.mark.parametrize(
    ('shape', 'kind', 'largest'),
    [
        ([None, 3, 4, 6], FLOAT, 1.0),
        ([None, 4, 6, 3], FLOAT, 1.0),
        ([1, 3, 4, 6], FLOAT, 1.0),
        ([4, 3, 4, 6], FLOAT, 1.0),
        ([None, 4, 6, 1], BYTES, 255.0),
    ],
    ids=['channels first', 'channels last', 'batches of one', 'batches of four', 'bytes'],
)
def test_pictures_are_made_as_the_file_takes_them(tmp_path, shape, kind, largest):
    class Bright(OnnxBackend):
        serves = [Serves('Choices', 'Image')]
        model = bright_model(tmp_path / 'bright.onnx', shape, kind, largest)

    files = picture_files(dark=np.full((9, 7, 3), 20), light=np.full((5, 8, 3), 230))
    tasks = [Task(place, {'image': f'/{name}.png'}, files=files) for place, name in enumerate(['dark', 'light'] * 3)]
    said = [prediction.regions[0].value['choices'] for prediction in loaded(Bright, BRIGHT).predict(tasks)]
    assert said == [['dark'], ['bright']] * 3


def test_texts_go_in_as_they_are_and_probabilities_by_name_come_out(tmp_path):
    """As converters of scikit-learn write it: a text in, a label and probabilities out."""
    nodes = [
        helper.make_node('Flatten', ['text'], ['flat']),
        helper.make_node('Equal', ['flat', 'fine'], ['is_fine']),
        helper.make_node('Cast', ['is_fine'], ['share'], to=FLOAT),
        helper.make_node('Sub', ['one', 'share'], ['other']),
        helper.make_node('Concat', ['share', 'other'], ['probabilities'], axis=1),
        helper.make_node('ArgMax', ['probabilities'], ['label'], axis=1, keepdims=0),
    ]
    path = write(
        tmp_path / 'mood.onnx',
        nodes,
        [('text', STRING, [None, 1])],
        [('label', INTS, [None]), ('probabilities', FLOAT, [None, 2])],
        [('fine', np.array([['fine']], dtype=object)), ('one', np.array([[1]], dtype=np.float32))],
    )

    class Mood(OnnxBackend):
        serves = [Serves('Choices', 'Text')]
        model = path

    fine, other = loaded(Mood, MOOD).predict([Task(1, {'text': 'fine'}), Task(2, {'text': 'rainy'})])
    assert fine.regions[0].value == {'choices': ['good']}
    assert other.regions[0].value == {'choices': ['bad']}
    assert fine.score == 1.0


def test_a_segmentation_becomes_masks_and_a_regression_a_number(tmp_path):
    identity = [helper.make_node('Identity', ['picture'], ['planes'])]
    path = write(
        tmp_path / 'planes.onnx',
        identity,
        [('picture', FLOAT, [None, 3, 10, 20])],
        [('planes', FLOAT, [None, 3, 10, 20])],
    )

    class Colors(OnnxBackend):
        serves = [Serves('BrushLabels', 'Image')]
        model = path

    xml = on_picture(
        '<BrushLabels name="color" toName="image">'
        '<Label value="Red"/><Label value="Green"/><Label value="Blue"/></BrushLabels>'
    )
    halves = np.zeros((20, 40, 3))
    halves[:, :20, 0], halves[:, 20:, 2] = 255, 255
    backend = loaded(Colors, xml)
    [prediction] = backend.predict([Task(1, {'image': '/halves.png'}, files=picture_files(halves=halves))])
    backend.label_config.check(prediction)
    assert [region.value['brushlabels'] for region in prediction.regions] == [['Red'], ['Blue']]
    number = linear(tmp_path / 'number.onnx', np.ones((2, 1)), np.zeros(1), [None, 2])

    class Sum(OnnxBackend):
        serves = [Serves('Number', 'Text')]
        model = number

        def preprocess(self, text):
            return np.array([len(text), text.count(' ')], dtype=np.float32)

    [prediction] = loaded(Sum, on_text('<Number name="sum" toName="text"/>')).predict([Task(1, {'text': 'a b c'})])
    assert prediction.regions[0].value == {'number': 7.0}


def test_a_missing_library_is_named_with_the_command(monkeypatch):
    # What Python does for a module that is not there.
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(RequirementMissingError, match=r"pip install 'label-studio\[onnx\]'"):
        loaded(Digits, DIGITS)


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path, digits):
    class Missing(Digits):
        model = 'nothing.onnx'

    with pytest.raises(PluginBrokenError, match=r'nothing\.onnx'):
        loaded(Missing, DIGITS)
    (tmp_path / 'half.onnx').write_bytes(Path(digits).read_bytes()[:100])

    class Damaged(Digits):
        model = str(tmp_path / 'half.onnx')

    with pytest.raises(PluginBrokenError, match=r'half\.onnx cannot be loaded'):
        loaded(Damaged, DIGITS)


def test_a_multiple_choice_has_to_say_what_its_numbers_are():
    several = DIGITS.replace('toName="image"', 'toName="image" choice="multiple"')
    with pytest.raises(PluginBrokenError, match='logits must be True or False'):
        loaded(Digits, several)

    class Logits(Digits):
        logits = True

    [prediction] = loaded(Logits, several).predict(digit_tasks(1)[0])
    assert '0' in prediction.regions[0].value['choices']


def test_labels_in_another_number_than_outputs_fail_with_what_to_set():
    fewer = DIGITS.replace('<Choice value="9"/>', '')
    [failure] = loaded(Digits, fewer).predict(digit_tasks(1)[0])
    assert isinstance(failure, TaskFailure)
    assert 'set labels on the backend' in failure.reason


def test_a_text_for_a_file_that_takes_numbers_says_what_to_override(tmp_path):
    class Mood(OnnxBackend):
        serves = [Serves('Choices', 'Text')]
        model = bright_model(tmp_path / 'bright.onnx', [None, 2])

    with pytest.raises(PluginBrokenError, match='override preprocess'):
        loaded(Mood, MOOD).predict([Task(1, {'text': 'a'})])


def test_several_outputs_of_which_none_is_known_have_to_be_chosen(tmp_path):
    nodes = [
        helper.make_node('Identity', ['row'], ['first']),
        helper.make_node('Neg', ['row'], ['second']),
    ]
    path = write(
        tmp_path / 'two.onnx',
        nodes,
        [('row', FLOAT, [None, 2])],
        [('first', FLOAT, [None, 2]), ('second', FLOAT, [None, 2])],
    )

    class Two(OnnxBackend):
        serves = [Serves('Choices', 'Text')]
        model = path

        def preprocess(self, text):
            return np.array([1.0, 0.0], dtype=np.float32)

    with pytest.raises(PluginBrokenError, match='first, second'):
        loaded(Two, MOOD).predict([Task(1, {'text': 'a'})])

    class Second(Two):
        output = 'second'

    [prediction] = loaded(Second, MOOD).predict([Task(1, {'text': 'a'})])
    assert prediction.regions[0].value == {'choices': ['bad']}
