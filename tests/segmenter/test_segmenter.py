import sys

import numpy as np
import pytest
from PIL import Image

from ml_plugins.brush_rle import mask_of
from ml_plugins.contrib.segmenter.backend import Segmenter
from ml_plugins.exceptions import LabelConfigError, ParameterError
from ml_plugins.geometry import shape_of
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing import BackendContract
from ml_plugins.types import Interaction, Prediction, TaskFailure

from .conftest import (
    AROUND,
    CONFIG,
    POLYGON_CONFIG,
    SIZE,
    answer,
    backend,
    box,
    click,
    content,
    disc,
    iou,
    picture,
    task,
)


class TestContract(BackendContract):
    backend_class = Segmenter
    label_config = CONFIG
    interaction = Interaction([box(*AROUND)])

    def tasks(self):
        return [task(1), task(2)]


def test_a_box_becomes_a_mask():
    found = answer(box(*AROUND))
    assert iou(found, disc()) > 0.95
    (region,) = found.result()
    assert (region['from_name'], region['type'], region['value']['brushlabels']) == ('brush', 'brushlabels', ['Ball'])
    assert (region['original_width'], region['original_height'], region['value']['format']) == (*SIZE, 'rle')


def test_a_click_becomes_a_mask():
    assert iou(answer(click(150, 80)), disc()) > 0.95


def test_a_click_beside_the_object_takes_away():
    # A box around everything, with the disc clicked away, leaves the ground.
    whole = box(0, 0, *SIZE)
    kept = answer(whole, click(20, 20), click(150, 80, positive=False))
    mask = mask_of(kept.result()[0])
    assert not mask[disc()].any()
    assert mask[20, 20]


def test_clicks_in_a_box_add_up():
    assert iou(answer(box(*AROUND), click(150, 80), click(105, 35, positive=False)), disc()) > 0.95


def test_a_turned_box():
    # Around its upper left corner, by a right angle: it lies to the left of where it would.
    _left, top, right, bottom = AROUND
    assert iou(answer(box(right, top, right + 100, bottom, rotation=90)), disc()) > 0.95


def test_a_polygon():
    found = answer(box(*AROUND), config=POLYGON_CONFIG)
    (region,) = found.result()
    assert region['type'] == 'polygonlabels' and region['value']['polygonlabels'] == ['Ball']
    shape = shape_of(region)
    size = np.array(SIZE) / 100
    left, top, right, bottom = (*(shape.low * size), *(shape.high * size))
    assert np.allclose([left, top, right, bottom], [110, 40, 190, 120], atol=4)
    assert 8 <= len(region['value']['points']) < 80


def test_the_preferred_output_is_drawn():
    both = CONFIG.replace(
        '<KeyPoint', '<PolygonLabels name="outline" toName="image"><Label value="Ball"/></PolygonLabels><KeyPoint'
    )
    assert answer(box(*AROUND), config=both).regions[0].type == 'brushlabels'
    assert answer(box(*AROUND), config=both, output='polygon').regions[0].type == 'polygonlabels'


def test_rotated_by_exif():
    # The camera was held sideways: the file's pixels lie on their side, and the editor shows them upright.
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = content(picture().transpose(Image.Transpose.ROTATE_90), 'JPEG', exif=exif, quality=95)
    assert iou(answer(box(*AROUND), on=task(data=sideways)), disc()) > 0.95


@pytest.mark.parametrize('place', [(-50, -30, 20, 20), (200, 100, 400, 300)])
def test_a_box_that_sticks_out_is_cut_off(place):
    mask = mask_of(answer(box(*place)).result()[0])
    assert mask.shape == SIZE[::-1]


def test_a_box_beside_the_picture():
    found = answer(box(300, 10, 400, 60))
    assert isinstance(found, TaskFailure) and 'beside the picture' in found.reason


@pytest.mark.parametrize('corner', [(0, 0), SIZE, (SIZE[0], 0)])
def test_a_click_on_the_border(corner):
    mask = mask_of(answer(click(*corner)).result()[0])
    assert mask[min(corner[1], SIZE[1] - 1), min(corner[0], SIZE[0] - 1)]
    assert not mask[disc()].any()


def test_nothing_was_drawn():
    made = backend()
    assert list(made.predict([task(), task(2)])) == [None, None]
    assert list(made.predict([task()], Interaction())) == [None]
    assert list(made.predict([task()], Interaction([click(150, 80, positive=False)]))) == [None]


def test_a_plain_picture_gives_what_was_boxed():
    plain = Image.new('RGB', SIZE, (90, 90, 90))
    truth = np.zeros(SIZE[::-1], bool)
    truth[30:130, 100:200] = True
    assert iou(answer(box(*AROUND), on=task(data=content(plain))), truth) > 0.9


def test_a_picture_of_one_pixel():
    assert isinstance(answer(click(0, 0), on=task(data=content(Image.new('RGB', (1, 1))))), Prediction)


def test_the_label_is_not_in_the_label_config():
    found = answer(click(150, 80, label='Dog'))
    assert isinstance(found, TaskFailure)
    assert found.reason == '<BrushLabels name="brush"> has no label "Dog"; it has Ball, Cat'


def test_no_label_is_selected():
    found = answer(click(150, 80, label=''))
    assert isinstance(found, TaskFailure) and 'select one of Ball, Cat' in found.reason
    one = CONFIG.replace('<Label value="Cat"/>', '')
    assert answer(click(150, 80, label=''), config=one).regions[0].value['brushlabels'] == ['Ball']


def test_a_label_config_without_labels():
    xml = '<View><Image name="image" value="$image"/><BrushLabels name="brush" toName="image"/></View>'
    with pytest.raises(LabelConfigError, match='at least one <Label>'):
        Segmenter.check(parse_label_config(xml))


@pytest.mark.parametrize('dimensions', [3, 4])
def test_a_model_of_two_files(sam_files, dimensions):
    encoder, decoder = sam_files(dimensions)
    found = answer(click(150, 80), encoder=encoder, decoder=decoder)
    assert iou(found, disc()) > 0.85
    assert found.score == found.regions[0].score == pytest.approx(0.9)


def test_the_picture_is_encoded_once(sam_files):
    encoder, decoder = sam_files(4)
    made = backend(encoder=encoder, decoder=decoder)
    runs = []
    session, made._model._encoder = made._model._encoder, None
    made._model._encoder = type('Counting', (), {
        'get_inputs': lambda self: session.get_inputs(),
        'run': lambda self, *given: runs.append(1) or session.run(*given),
    })()  # fmt: skip
    for x in (150, 140):
        made.predict([task()], Interaction([click(x, 80)]))
    assert len(runs) == 1
    made.predict([task(2)], Interaction([click(150, 80)]))
    assert len(runs) == 2


def test_files_that_are_no_model(sam_files, tmp_path):
    encoder, decoder = sam_files(4)
    text = tmp_path / 'notes.onnx'
    text.write_text('not a model')
    for params, reason in (
        ({'encoder': encoder}, 'parameter "decoder": empty'),
        ({'encoder': str(tmp_path / 'gone.onnx'), 'decoder': decoder}, 'parameter "encoder": there is no file'),
        ({'encoder': str(text), 'decoder': decoder}, 'parameter "encoder": .* is no ONNX model'),
        ({'encoder': encoder, 'decoder': encoder}, 'parameter "decoder": .* has no input image_embeddings'),
    ):
        with pytest.raises(ParameterError, match=reason):
            backend(**params)


def test_the_package_for_onnx_is_missing(sam_files, monkeypatch):
    encoder, decoder = sam_files(4)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ParameterError, match='pip install onnxruntime'):
        backend(encoder=encoder, decoder=decoder)
