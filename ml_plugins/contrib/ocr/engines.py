"""Programs that read text: RapidOCR in this process, Tesseract as a program of the system."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ml_plugins.contrib.ocr.lines import Line
from ml_plugins.exceptions import ParameterError

if TYPE_CHECKING:
    from PIL.Image import Image

# Small letters are read better when they are made larger first.
_LEAST_SIDE = 1000
_MOST_LARGER = 2.5
# RapidOCR makes the shorter side at least this long, and cannot handle pictures much more slender than this.
_SHORT_SIDE = 480
_MOST_SLENDER = 20
_SECONDS = 120


class Engine(Protocol):
    """Reads the lines of a picture, in any order."""

    def read(self, image: Image) -> list[Line]: ...


def load_engine(name: str = 'auto', language: str = 'eng') -> Engine:
    """The engine of that name; ``auto`` takes RapidOCR, or else Tesseract.

    Raises:
        ParameterError: It is not installed, or does not know the language.
    """
    if name == 'rapidocr' or (name == 'auto' and find_spec('rapidocr_onnxruntime')):
        return RapidOcr()
    return Tesseract(language)


def tesseract_program() -> str | None:
    """Where the system has Tesseract, or None."""
    return shutil.which('tesseract')


class RapidOcr:
    """PP-OCR's networks, which come with the package."""

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise ParameterError(
                f'parameter "engine": RapidOCR cannot be loaded ({error}): pip install \'label-studio[ocr]\''
            ) from error
        # The quick way to judge a line by its upright box throws lines away that are a little askew.
        self._engine = RapidOCR(
            intra_op_num_threads=_threads(), print_verbose=False, det_score_mode='slow', det_limit_side_len=_SHORT_SIDE
        )

    def read(self, image: Image) -> list[Line]:
        larger, factor = _enlarged(image)
        larger = _not_too_slender(larger)
        found, _ = self._engine(np.ascontiguousarray(np.asarray(larger)[:, :, ::-1]))
        return [Line(text, np.array(corners, float) / factor, float(score)) for corners, text, score in found or ()]


class Tesseract:
    """The program ``tesseract``.

    Args:
        language: As the program takes it, e.g. ``deu`` or ``eng+fra``.
    """

    def __init__(self, language: str) -> None:
        program = tesseract_program()
        if program is None:
            raise ParameterError(
                'parameter "engine": there is no program "tesseract" (Debian: apt-get install tesseract-ocr), and '
                "RapidOCR is not installed (pip install 'label-studio[ocr]')"
            )
        self._command = [program, 'stdin', 'stdout', '-l', language, '--psm', '3', 'tsv']
        listed = subprocess.run(
            [program, '--list-langs'], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        known = listed.stdout.splitlines()[1:]
        if missing := [part for part in language.split('+') if part not in known]:
            raise ParameterError(
                f'parameter "language": Tesseract has no {missing[0]!r}; it has {", ".join(known) or "none"}'
            )

    def read(self, image: Image) -> list[Line]:
        larger, factor = _enlarged(image)
        content = io.BytesIO()
        larger.save(content, 'PNG', compress_level=1)
        # One thread a page: several only wait for each other beside a web server.
        environment = {**os.environ, 'OMP_THREAD_LIMIT': '1'}
        done = subprocess.run(
            self._command, input=content.getvalue(), capture_output=True, timeout=_SECONDS, env=environment, check=True
        )
        return [_line(words, factor) for words in _lines_of(done.stdout.decode()).values()]


def _lines_of(table: str) -> Mapping[tuple[str, ...], list[dict[str, Any]]]:
    """Words by line of Tesseract's table."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter='\t', quoting=csv.QUOTE_NONE):
        if row['level'] == '5' and (row['text'] or '').strip():
            found.setdefault((row['block_num'], row['par_num'], row['line_num']), []).append(row)
    return found


def _line(words: list[dict[str, Any]], factor: float) -> Line:
    boxes = np.array([[float(word[key]) for key in ('left', 'top', 'width', 'height')] for word in words]) / factor
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    # As long words count more.
    lengths = [len(word['text']) for word in words]
    score = float(np.average([float(word['conf']) for word in words], weights=lengths)) / 100
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Line(' '.join(word['text'] for word in words), corners, min(max(score, 0.0), 1.0))


def _enlarged(image: Image) -> tuple[Image, float]:
    from PIL.Image import Resampling

    factor = min(_MOST_LARGER, _LEAST_SIDE / max(image.size))
    if factor <= 1:
        return image, 1.0
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Resampling.BICUBIC), factor


def _not_too_slender(image: Image) -> Image:
    """The picture with white below or beside it where one side is very short; places in it stay the same."""
    from PIL import Image as PILImage

    least = max(32, -(-max(image.size) // _MOST_SLENDER))
    if min(image.size) >= least:
        return image
    filled = PILImage.new('RGB', (max(image.width, least), max(image.height, least)), 'white')
    filled.paste(image)
    return filled


def _threads() -> int:
    """Half of the processors: the web server wants the others."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(1, min(allowed // 2, 4))
