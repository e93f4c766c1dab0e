"""Plain functions as backends, for each kind of task."""

import io

import numpy as np
import pytest
from PIL import Image

from ml_plugins import LabelConfigError, PredictionError, Serves, Task, TaskFailure
from ml_plugins.adapters import Answer, Box, FunctionBackend, Mask, TextBox, serve
from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.testing import BackendContract, MemoryFiles
from tests.adapters.configs import MOOD, loaded, on_picture, on_text, picture_files

CARS = on_picture('<RectangleLabels name="car" toName="image"><Label value="Car"/></RectangleLabels>')
BRIGHT = on_picture('<BrushLabels name="bright" toName="image"><Label value="Bright"/></BrushLabels>')
READING = on_picture('<Rectangle name="box" toName="image"/><TextArea name="text" toName="image" perRegion="true"/>')
WORDS = on_text('<Labels name="word" toName="text"><Label value="Long"/></Labels>')


def mood_of(text):
    return {'good': 0.9, 'bad': 0.1} if 'fine' in text else {'good': 0.2, 'bad': 0.8}


class Mood(FunctionBackend):
    """A function from elsewhere."""

    serves = [Serves('Choices', 'Text')]
    function = mood_of


class Bright(FunctionBackend):
    """A method, for boxes and for masks."""

    serves = [Serves('RectangleLabels', 'Image'), Serves('BrushLabels', 'Image')]

    def function(self, picture):
        pixels = np.asarray(picture.convert('L')) > 128
        if self.control.type == 'brushlabels':
            return [Mask(pixels, 'Bright', 0.9)]
        ys, xs = np.nonzero(pixels)
        return [Box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, 'car', 0.9)] if len(xs) else []


class Reader(FunctionBackend):
    serves = [Serves('TextArea', 'Image')]

    @staticmethod
    def function(picture):
        width, height = picture.size
        return [TextBox(0, 0, width / 2, height, 'Hello', score=0.9)]


class LongWords(FunctionBackend):
    serves = [Serves('Labels', 'Text')]
    batched = True

    @staticmethod
    def function(texts):
        found = [[(text.find(word), text.find(word) + len(word), 'Long') for word in text.split()] for text in texts]
        return [[span for span in spans if span[1] - span[0] > 5] for spans in found]


class Length(FunctionBackend):
    serves = [Serves('Number', 'Text')]
    function = len


def bright_corner(width=40, height=20):
    array = np.zeros((height, width, 3))
    array[: height // 2, : width // 2] = 255
    return array


class TextTasks(BackendContract):
    def tasks(self):
        return [Task(1, {'text': 'a fine morning'}), Task(2, {'text': 'nothing but 🌧 drizzle'})]


class PictureTasks(BackendContract):
    def tasks(self):
        files = picture_files(one=bright_corner(), two=bright_corner(64, 64))
        return [Task(1, {'image': '/one.png'}, files=files), Task(2, {'image': '/two.png'}, files=files)]


class TestMood(TextTasks):
    backend_class = Mood
    label_config = MOOD


class TestLongWords(TextTasks):
    backend_class = LongWords
    label_config = WORDS


class TestLength(TextTasks):
    backend_class = Length
    label_config = on_text('<Number name="length" toName="text"/>')


class TestBoxes(PictureTasks):
    backend_class = Bright
    label_config = CARS


class TestMasks(PictureTasks):
    backend_class = Bright
    label_config = BRIGHT


class TestReading(PictureTasks):
    backend_class = Reader
    label_config = READING


def test_a_picture_turned_by_its_exif_data_is_upright_and_so_are_its_boxes():
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    # Stored lying, 40 wide; shown standing, 20 wide, with the bright corner at the upper right.
    Image.fromarray(bright_corner().astype(np.uint8)).save(stream, 'JPEG', exif=exif, quality=95, subsampling=0)
    task = Task(1, {'image': '/photo.jpg'}, files=MemoryFiles({'/photo.jpg': stream.getvalue()}))
    [prediction] = loaded(Bright, CARS).predict([task])
    [region] = prediction.regions
    assert (region.extra['original_width'], region.extra['original_height']) == (20, 40)
    assert [region.value[key] for key in ('x', 'y', 'width', 'height')] == pytest.approx([50, 0, 50, 50], abs=6)


def test_empty_texts_and_unreadable_pictures_fail_alone():
    empty, good, missing = loaded(Mood, MOOD).predict(
        [Task(1, {'text': ' \n'}), Task(2, {'text': 'fine'}), Task(3, {'other': 1})]
    )
    assert 'is an empty text' in empty.reason
    assert 'is missing; the task has other' in missing.reason
    assert good.regions[0].value == {'choices': ['good']}
    files = MemoryFiles({'/broken.png': b'\x89PNG\r\n', **picture_files(one=bright_corner()).content})
    broken, picture = loaded(Bright, CARS).predict(
        [Task(number, {'image': f'/{name}.png'}, files=files) for number, name in enumerate(('broken', 'one'))]
    )
    assert 'damaged picture' in broken.reason
    assert len(picture.regions) == 1


def test_a_wrong_number_of_results_is_named():
    class Short(LongWords):
        @staticmethod
        def function(texts):
            return [[]]

    with pytest.raises(PredictionError, match=r'Short\.run returned 1 results for 2 inputs'):
        loaded(Short, WORDS).predict([Task(1, {'text': 'a'}), Task(2, {'text': 'b'})])


@pytest.mark.parametrize('returned', [None, 'good', {'good': 1.0}])
def test_something_else_than_a_list_of_results_is_named(returned):
    class Odd(LongWords):
        @staticmethod
        def function(texts):
            return returned

    with pytest.raises(PredictionError, match='it must be a list'):
        loaded(Odd, WORDS).predict([Task(1, {'text': 'a'})])


def test_nothing_to_say_is_none():
    class Silent(Mood):
        def function(self, text):
            return None

    assert loaded(Silent, MOOD).predict([Task(1, {'text': 'a'})]) == [None]


def test_several_controls_are_answered_by_name_with_an_embedding():
    class Both(FunctionBackend):
        serves = [Serves('Choices', 'Text'), Serves('Rating', 'Text')]

        def function(self, text):
            return Answer({'mood': ('good', 0.7), 'stars': 4}, embedding=np.ones(3))

    both = MOOD.replace('</View>', '<Rating name="stars" toName="text"/></View>')
    [prediction] = loaded(Both, both).predict([Task(1, {'text': 'a'})])
    assert [region.type for region in prediction.regions] == ['choices', 'rating']
    assert (prediction.score, prediction.embedding.tolist()) == (0.7, [1, 1, 1])


def test_a_function_that_is_not_set_is_said():
    class Without(FunctionBackend):
        serves = [Serves('Choices', 'Text')]

    with pytest.raises(PluginBrokenError, match=r'Without\.function is None'):
        loaded(Without, MOOD)


def test_choices_about_single_regions_are_refused():
    xml = MOOD.replace('toName="text"', 'toName="text" perRegion="true"')
    with pytest.raises(LabelConfigError, match='with perRegion'):
        Mood.check(loaded(Mood, MOOD).label_config.__class__(xml))


def test_parameters_of_a_subclass_do_not_take_those_of_the_adapter_away():
    from ml_plugins import Param

    class Tuned(Mood):
        params = (Param('depth', 3),)

    assert [param.name for param in Tuned.params] == ['depth', 'label_map', 'threshold']


@pytest.mark.parametrize('model', [mood_of, f'{__name__}:mood_of', Mood, f'{__name__}:Mood'], ids=str)
def test_one_line_makes_a_plugin(model):
    pairs = () if model is Mood or str(model).endswith(':Mood') else (('Choices', 'Text'),)
    config = serve(model, *pairs, verbose_name='Moods', max_batch=3)
    assert config.name == 'tests.adapters'
    made = config('tests.adapters', __import__('tests.adapters').adapters)
    backend_class = made.backend_class()
    assert (made.verbose_name, backend_class.max_batch) == ('Moods', 3)
    [prediction] = loaded(backend_class, MOOD).predict([Task(1, {'text': 'fine'})])
    assert prediction.regions[0].value == {'choices': ['good']}


def test_one_line_refuses_what_it_cannot_make_a_plugin_of():
    with pytest.raises(PluginBrokenError, match='SklearnBackend'):
        serve(object(), ('Choices', 'Text'))
    with pytest.raises(PluginBrokenError, match='needs the tags'):
        serve(mood_of)('tests.adapters', __import__('tests.adapters').adapters).backend_class()


def test_a_function_that_raises_is_left_to_the_host():
    class Broken(Mood):
        def function(self, text):
            raise ZeroDivisionError('no')

    with pytest.raises(ZeroDivisionError):
        loaded(Broken, MOOD).predict([Task(1, {'text': 'a'})])


def test_a_failure_and_a_prediction_of_its_own_are_passed_on():
    class Own(Mood):
        def function(self, text):
            return TaskFailure(1, 'too long')

    assert loaded(Own, MOOD).predict([Task(1, {'text': 'a'})]) == [TaskFailure(1, 'too long')]
