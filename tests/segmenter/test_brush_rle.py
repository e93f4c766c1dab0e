"""The brush format, held against the codec of Label Studio's own SDK."""

import numpy as np
import pytest
from label_studio_sdk.converter import brush

from ml_plugins.brush_rle import decode_rle, encode_rle, mask_of
from ml_plugins.exceptions import PredictionError

RANDOM = np.random.default_rng(0)
MASKS = {
    'noise': RANDOM.random((17, 23)) > 0.5,
    'empty': np.zeros((9, 5), bool),
    'full and longer than the longest run': np.ones((300, 301), bool),
    'one pixel': np.ones((1, 1), bool),
    'blobs': np.kron(RANDOM.random((6, 8)) > 0.6, np.ones((11, 9))) > 0,
}


@pytest.mark.parametrize('mask', MASKS.values(), ids=MASKS)
def test_label_studio_reads_what_is_written(mask):
    pixels = brush.decode_rle(encode_rle(mask)).reshape(*mask.shape, 4)
    assert ((pixels == 255) == mask[:, :, None]).all()


@pytest.mark.parametrize('mask', MASKS.values(), ids=MASKS)
def test_it_is_read_back(mask):
    height, width = mask.shape
    assert (decode_rle(encode_rle(mask), width, height) == mask).all()


def test_what_label_studio_writes_is_read():
    # Noise has runs of a single value, which are stored as literals.
    pixels = RANDOM.choice([0, 255], (13, 7, 4)).astype(np.uint8)
    found = mask_of({'original_width': 7, 'original_height': 13, 'value': {'rle': brush.encode_rle(pixels.ravel())}})
    assert (found == (pixels[:, :, 3] > 0)).all()


@pytest.mark.parametrize(
    ('rle', 'reason'),
    [
        ([], 'ends too early'),
        (encode_rle(MASKS['noise'])[:20], 'ends too early'),
        (['x'], 'not a brush mask'),
        ([300], 'not a brush mask'),
        (encode_rle(MASKS['empty']), '5|45|180 values'),
    ],
)
def test_what_is_no_mask_is_refused(rle, reason):
    with pytest.raises(PredictionError, match=reason):
        decode_rle(rle, 23, 17)


def test_a_mask_has_two_dimensions():
    with pytest.raises(PredictionError, match=r'\(2, 2, 4\)'):
        encode_rle(np.zeros((2, 2, 4)))
