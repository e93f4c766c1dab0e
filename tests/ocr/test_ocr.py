import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
from PIL import Image

from ml_plugins.contrib.ocr import engines
from ml_plugins.contrib.ocr.apps import OcrConfig
from ml_plugins.contrib.ocr.backend import Ocr
from ml_plugins.exceptions import LabelConfigError, ParameterError
from ml_plugins.testing import BackendContract
from ml_plugins.types import TaskFailure

from .conftest import BOXES, LINES, TEMPLATE, WHOLE, backend, content, page, plain, task, texts

needs_rapidocr = pytest.mark.skipif(not find_spec('rapidocr_onnxruntime'), reason='RapidOCR is not installed')
needs_tesseract = pytest.mark.skipif(not shutil.which('tesseract'), reason='tesseract is not installed')
ENGINES = [
    pytest.param('rapidocr', marks=needs_rapidocr),
    pytest.param('tesseract', marks=needs_tesseract),
]


@needs_rapidocr
class TestContract(BackendContract):
    backend_class = Ocr
    label_config = TEMPLATE
    params = {'engine': 'rapidocr'}

    def tasks(self):
        return [task(1), task(2)]


@pytest.mark.parametrize('engine', ENGINES)
def test_lines_are_read_where_they_are(engine):
    (found,) = backend(engine=engine).predict([task()])
    assert [plain(text) for text in texts(found)] == [plain(line) for line in LINES]
    boxes = [item['value'] for item in found.result() if item['type'] == 'rectanglelabels']
    # The first line was drawn at 40, 30 of 400 by 250 pixels.
    assert boxes[0]['x'] == pytest.approx(40 / 4, abs=2) and boxes[0]['y'] == pytest.approx(36 / 2.5, abs=4)
    assert 0.5 < found.score <= 1


@pytest.mark.parametrize('engine', ENGINES)
def test_rotated_by_exif(engine):
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = content(page().transpose(Image.Transpose.ROTATE_90), 'JPEG', exif=exif, quality=95)
    (found,) = backend(WHOLE, engine=engine).predict([task(data=sideways)])
    assert [plain(text) for text in texts(found)[0].split('\n')] == [plain(line) for line in LINES]


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('size', [(1, 1), (1500, 3)])
def test_pictures_without_text(engine, size):
    (found,) = backend(engine=engine).predict([task(data=content(Image.new('RGB', size, 'white')))])
    assert found.regions == [] and found.score is None


@needs_rapidocr
def test_unsure_lines_are_left_out():
    (found,) = backend(minimum_score=1.0).predict([task()])
    assert found.regions == []


@needs_rapidocr
def test_a_damaged_picture_fails_alone():
    cut = content(page(), 'JPEG')
    bad, good = backend().predict([task(1, cut[: len(cut) // 2]), task(2)])
    assert isinstance(bad, TaskFailure) and 'damaged' in bad.reason
    assert len(texts(good)) == 2


def test_a_label_that_the_label_config_does_not_have():
    with pytest.raises(LabelConfigError, match='has no label "Footer"'):
        backend(BOXES, label='Footer')


@needs_tesseract
def test_a_language_that_is_not_installed():
    with pytest.raises(ParameterError, match=r"Tesseract has no 'xyz'; it has .*eng"):
        backend(engine='tesseract', language='eng+xyz')


def test_nobody_who_reads_is_installed(monkeypatch):
    monkeypatch.setattr(engines, 'find_spec', lambda name: None)
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(ParameterError, match=r"apt-get install tesseract-ocr.*pip install 'label-studio\[ocr\]'"):
        backend()


def test_one_engine_is_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(OcrConfig, 'requires', ('no-such-package>=1',))
    monkeypatch.setenv('PATH', str(tmp_path))
    assert "pip install 'label-studio[ocr]'" in OcrConfig.missing('label-studio')
    program = tmp_path / 'tesseract'
    program.write_text('#!/bin/sh\n')
    program.chmod(0o755)
    assert OcrConfig.missing('label-studio') == ''


def test_the_app_imports_neither_engine():
    code = 'import sys, ml_plugins.contrib.ocr.backend as b; print({"cv2", "onnxruntime"} & set(sys.modules))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'set()'
