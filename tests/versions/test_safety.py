"""Formats that hold data get in; what may run code while it is loaded does not."""

import numpy as np
import pytest

from label_studio.ml_host.versions.errors import UploadError
from label_studio.ml_host.versions.safety import refuse_unsafe
from ml_plugins import MLBackend, Serves
from ml_plugins.testing import check_backend
from tests.versions.packing import PICKLE, SAFETENSORS, array, arrays


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('model.pkl', PICKLE, 'may run code while it is loaded'),
        ('model.pt', b'anything', 'may run code while it is loaded'),
        ('MODEL.PTH', b'anything', 'may run code while it is loaded'),
        ('model.joblib', b'anything', 'may run code while it is loaded'),
        ('sub/other.bin', b'anything', 'may run code while it is loaded'),
        ('model.so', b'\x7fELF', 'is not of a format that is known to be safe'),
        ('model', b'anything', 'is not of a format that is known to be safe'),
        ('notes.txt', PICKLE, 'holds a pickle'),
        ('notes.txt', b"cos\nsystem\n(S'true'\ntR.", 'holds a pickle'),
        ('model.safetensors', PICKLE, 'holds a pickle'),
        ('model.safetensors', b'PK\x03\x04model/data.pkl', 'holds a pickle'),
        ('model.safetensors', b'\x00' * 20, r'is not what its name says, \.safetensors'),
        ('model.onnx', PICKLE, 'holds a pickle'),
        ('model.json', b'{"cut": ', r'is not what its name says, \.json'),
        ('objects.npy', array(np.array([{}, []], dtype=object)), r'is not what its name says, \.npy'),
        ('objects.npz', arrays(a=np.array([{}], dtype=object)), r'is not what its name says, \.npz'),
    ],
)
def test_what_may_run_code_is_refused(tmp_path, name, content, reason):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(UploadError, match=reason) as raised:
        refuse_unsafe(tmp_path, [name], ('weights.bin', 'deep/*.pkl'))
    assert str(raised.value).startswith(f'files/{name} ')
    assert 'MLBackend.safe_files' in str(raised.value)


@pytest.mark.parametrize(
    ('name', 'content', 'allowed'),
    [
        ('model.safetensors', SAFETENSORS, ()),
        ('config.json', b'{"labels": ["cat"]}', ()),
        ('words.txt', 'größe\n'.encode(), ()),
        ('mean.npy', array(np.zeros(3)), ()),
        ('more.npz', arrays(a=np.zeros(3), b=np.array(['text'])), ()),
        ('model.onnx', b'\x08\x07', ()),
        ('sub/weights.bin', PICKLE, ('weights.bin',)),
        ('weights.bin', PICKLE, 'weights.bin'),
    ],
)
def test_plain_data_and_what_the_plugin_reads_safely_is_taken(tmp_path, name, content, allowed):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    refuse_unsafe(tmp_path, [name], allowed)


def test_patterns_that_are_no_list_are_named_by_the_check():
    class Careless(MLBackend):
        serves = (Serves('Choices', 'Image'),)
        safe_files = '*.bin'

        def predict(self, tasks, interaction=None):
            return [None for _ in tasks]

    [problem] = check_backend(Careless)
    assert problem.startswith("Careless: safe_files is '*.bin'; it must be a list or tuple of patterns")
