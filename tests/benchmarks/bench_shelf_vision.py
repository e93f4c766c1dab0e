"""Held-out quality and speed of the bundled backends for pictures, beside plain baselines.

    python tests/benchmarks/bench_shelf_vision.py [segmenter] [ocr] [detector]

segmenter: overlap (IoU) with exact masks of Tux Paint's photo cut-outs pasted on photographs, for a box, for one click
and after three corrections, beside the box itself as the mask; and the time of one answer on a picture of a megapixel,
from the picture's bytes to the region. Asked: under 0.5 s.
ocr: share of wrong characters (edit distance) on scikit-image's photographed page and on rendered pages with blur,
noise and a turn, beside a plain call of RapidOCR and of Tesseract.
detector: mean average precision at an overlap of a half on held-out scenes whose cut-outs are not in the training
scenes, beside the same network before training.
"""

import io
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.brush_rle import mask_of
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryDataset, MemoryFiles, MemoryRun, example_of
from ml_plugins.types import Interaction, Task
from tests.assets import scenes, tuxpaint

LABELS = ('bird', 'food', 'mammal', 'vehicle')
ASKED_SECONDS = 0.5
MEGAPIXEL = (1155, 866)
PAGE = (
    'Region-based segmentation',
    'Let us first determine markers of the coins and the',
    'background. These markers are pixels that we can label',
    'unambiguously as either object or background. Here,',
    'the markers are found at the two extreme parts of the',
    'histogram of grey values:',
    '>>> markers = np.zeros_like(coins)',
)
SCIKIT_IMAGE = 'scikit-image==0.26.0'


def labels_xml(tag: str, name: str, attributes: str = '') -> str:
    inside = ''.join(f'<Label value="{label}"/>' for label in LABELS)
    return f'<{tag} name="{name}" toName="image" {attributes}>{inside}</{tag}>'


def view(*controls: str) -> str:
    return f'<View><Image name="image" value="$image"/>{"".join(controls)}</View>'


def loaded(backend_class: type[MLBackend], xml: str, run: MemoryRun | None = None, **params) -> MLBackend:
    version = run.version() if run else None
    made = backend_class(BackendContext(parse_label_config(xml), params, version))
    made.setup()
    return made


def task_of(number: int, content: bytes) -> Task:
    name = f'/data/{number}'
    return Task(number, {'image': name}, files=MemoryFiles({name: content}))


# --- Segmenter -------------------------------------------------------------------------------------------------------


def segmenter(count: int = 10) -> None:
    from ml_plugins.contrib.segmenter.backend import Segmenter

    backend = loaded(Segmenter, view(labels_xml('BrushLabels', 'brush'), labels_xml('KeyPointLabels', 'point')))
    found: dict[str, list[float]] = {'box as mask': [], 'box': [], '1 click': [], '1 click, 3 corrections': []}
    seconds: list[tuple[float, float]] = []
    for number, scene in enumerate(scenes.make(count, MEGAPIXEL, seed=11)):
        task = task_of(number, scene.jpeg())
        for item in scene.objects:
            found['box as mask'].append(iou(box_mask(item), item.mask))
            found['box'].append(iou(ask(backend, task, [box_region(item, scene.size)], seconds), item.mask))
            clicks = [click_region(deepest(item.mask), scene.size, item.label)]
            mask = ask(backend, task, clicks, seconds)
            found['1 click'].append(iou(mask, item.mask))
            for _ in range(3):
                clicks.append(correction(mask, item, scene.size))
                mask = ask(backend, task, clicks, seconds)
            found['1 click, 3 corrections'].append(iou(mask, item.mask))
    print(f'segmenter: {len(found["box"])} Tux Paint cut-outs on photographs, {MEGAPIXEL[0]}x{MEGAPIXEL[1]} pixels')
    for name, values in found.items():
        print(f'  {name}: IoU mean {np.mean(values):.3f}, median {np.median(values):.3f}')
    for what, values in zip(('on the clock', 'of processor time'), np.array(seconds).T, strict=True):
        middle, late = np.median(values), np.quantile(values, 0.95)
        print(
            f'  one answer, {what}: median {middle * 1000:.0f} ms, 95 % under {late * 1000:.0f} ms, slowest '
            f'{values.max() * 1000:.0f} ms of {len(values)}; asked under {ASKED_SECONDS * 1000:.0f} ms; ratio of the '
            f'median {middle / ASKED_SECONDS:.2f}'
        )


def ask(backend: MLBackend, task: Task, regions: list[dict], seconds: list[tuple[float, float]]) -> np.ndarray:
    begin, begin_cpu = time.perf_counter(), time.process_time()
    (answer,) = backend.predict([task], Interaction(tuple(regions)))
    result = answer.result()
    seconds.append((time.perf_counter() - begin, time.process_time() - begin_cpu))
    return mask_of(result[0]) if result else np.zeros((MEGAPIXEL[1], MEGAPIXEL[0]), bool)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def box_mask(item: scenes.Placed) -> np.ndarray:
    mask = np.zeros(item.mask.shape, bool)
    left, top, right, bottom = item.box
    mask[top:bottom, left:right] = True
    return mask


def box_value(item: scenes.Placed, size: tuple[int, int]) -> dict:
    left, top, right, bottom = item.box
    x, y = left / size[0] * 100, top / size[1] * 100
    wide, high = (right - left) / size[0] * 100, (bottom - top) / size[1] * 100
    return {'x': x, 'y': y, 'width': wide, 'height': high, 'rotation': 0, 'rectanglelabels': [item.label]}


def box_region(item: scenes.Placed, size: tuple[int, int]) -> dict:
    return {'from_name': 'box', 'to_name': 'image', 'type': 'rectanglelabels', 'value': box_value(item, size)}


def click_region(place: tuple[int, int], size: tuple[int, int], label: str, positive: bool = True) -> dict:
    x, y = ((number + 0.5) / side * 100 for number, side in zip(place, size, strict=True))
    value = {'x': x, 'y': y, 'width': 0.3, 'keypointlabels': [label]}
    return {
        'from_name': 'point', 'to_name': 'image', 'type': 'keypointlabels', 'is_positive': positive, 'value': value,
    }  # fmt: skip


def correction(mask: np.ndarray, item: scenes.Placed, size: tuple[int, int]) -> dict:
    """A click in the middle of what is most wrong, as a person would do it."""
    missing, extra = item.mask & ~mask, mask & ~item.mask
    positive = bool(missing.sum() >= extra.sum())
    return click_region(deepest(missing if positive else extra), size, item.label, positive)


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """The pixel of a mask that is farthest from its border."""
    import cv2

    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(column), int(row)


# --- OCR -------------------------------------------------------------------------------------------------------------


def ocr() -> None:
    from ml_plugins.contrib.ocr.backend import Ocr

    sets = {'rendered pages': rendered_pages()}
    if (photographed := skimage_page()) is not None:
        sets = {"scikit-image's page": [(photographed, PAGE)], **sets}
    else:
        print(f"ocr: scikit-image's page is absent: {SCIKIT_IMAGE} cannot be downloaded")
    xml = view('<TextArea name="text" toName="image"/>')
    readers: dict[str, Callable[[bytes], str]] = {}
    if installed('rapidocr_onnxruntime'):
        ours = loaded(Ocr, xml, engine='rapidocr')
        readers['ocr (rapidocr)'] = lambda content: read(ours, content)
        readers['plain RapidOCR'] = plain_rapidocr()
    if shutil.which('tesseract'):
        theirs = loaded(Ocr, xml, engine='tesseract')
        readers['ocr (tesseract)'] = lambda content: read(theirs, content)
        readers['plain Tesseract'] = plain_tesseract
    for name, pages in sets.items():
        print(f'ocr: {name}, {len(pages)} with {sum(len("".join(lines)) for _, lines in pages)} characters')
        for reader, call in readers.items():
            wrong = right = 0
            begin = time.perf_counter()
            for content, lines in pages:
                truth = ' '.join(lines)
                wrong += distance(' '.join(call(content).split()), truth)
                right += len(truth)
            seconds = (time.perf_counter() - begin) / len(pages)
            print(f'  {reader}: {wrong / right:.3f} of the characters wrong, {seconds:.2f} s a page')
    for name, present in (('RapidOCR', installed('rapidocr_onnxruntime')), ('Tesseract', shutil.which('tesseract'))):
        if not present:
            print(f'  {name}: absent, not installed')


def installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def read(backend: MLBackend, content: bytes) -> str:
    (answer,) = backend.predict([task_of(1, content)])
    return '\n'.join(region.value['text'][0] for region in answer.regions)


def plain_rapidocr() -> Callable[[bytes], str]:
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()
    return lambda content: '\n'.join(line[1] for line in engine(content)[0] or ())


def plain_tesseract(content: bytes) -> str:
    done = subprocess.run(['tesseract', 'stdin', 'stdout'], input=content, capture_output=True, check=True)
    return done.stdout.decode()


def distance(one: str, other: str) -> int:
    """Characters to insert, delete or change."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        last, row[0] = row[0], number
        for place, wanted in enumerate(other, start=1):
            last, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, last + (letter != wanted))
    return row[-1]


def skimage_page() -> bytes | None:
    """The photographed page out of scikit-image's wheel; its text was typed off by hand."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', folder, SCIKIT_IMAGE]
        subprocess.run(command, capture_output=True, check=False)
        wheel = next(Path(folder).glob('*.whl'), None)
        if wheel is None:
            return None
        with zipfile.ZipFile(wheel) as archive:
            return archive.read('skimage/data/page.png')


def rendered_pages(count: int = 6) -> list[tuple[bytes, tuple[str, ...]]]:
    """Lines of this repository's licence, in two sizes, a little blurred, noisy and turned."""
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    text = (Path(__file__).resolve().parent.parent.parent / 'LICENSE').read_text(encoding='utf-8')
    lines = [line.strip() for line in text.splitlines() if len(line.strip()) > 40]
    chance, pages = random.Random(5), []
    for number in range(count):
        begin = chance.randrange(len(lines) - 8)
        chosen = tuple(lines[begin : begin + 8])
        font = ImageFont.load_default(16 + 6 * (number % 2))
        page = Image.new('L', (920, 360), 235)
        draw = ImageDraw.Draw(page)
        for row, line in enumerate(chosen):
            draw.text((30, 25 + row * 38), line, fill=30, font=font)
        page = page.rotate(chance.uniform(-1, 1), Image.Resampling.BICUBIC, fillcolor=235)
        page = page.filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.9)))
        noise = np.random.default_rng(number).normal(0, 12, (360, 920))
        pixels = Image.fromarray((np.asarray(page) + noise).clip(0, 255).astype(np.uint8))
        content = io.BytesIO()
        pixels.save(content, 'PNG')
        pages.append((content.getvalue(), chosen))
    return pages


# --- Detector --------------------------------------------------------------------------------------------------------


def detector(count: int = 80, held_out: int = 30) -> None:
    from ml_plugins.contrib.object_detector.backend import ObjectDetector
    from ml_plugins.contrib.object_detector.networks import build
    from ml_plugins.contrib.object_detector.photos import collect, served_control
    from ml_plugins.contrib.object_detector.training import Shelf, precision

    xml = view(labels_xml('RectangleLabels', 'box'))
    pictures = [
        *scenes.make(count, (480, 360), seed=1, labels=LABELS, part=0),
        *scenes.make(held_out, (480, 360), seed=2, labels=LABELS, part=1),
    ]
    examples = [
        example_of(task_of(number, scene.jpeg()), list(regions_of(scene)), held_out=number >= count)
        for number, scene in enumerate(pictures)
    ]
    folder = Path(tempfile.mkdtemp(prefix='bench-detector-'))
    config = parse_label_config(xml)
    photos = collect([example for example in examples if example.held_out], served_control(config))
    untrained = build('efficientnet_lite0', LABELS, 'auto')
    nothing = MemoryRun(folder / 'untrained')
    before = precision(untrained, photos, Shelf(untrained, 'image', nothing), nothing, 0, len(photos))
    run = MemoryRun(folder / 'run', device='auto')
    begin, begin_cpu = time.perf_counter(), time.process_time()
    metrics = ObjectDetector(BackendContext(config)).fit(MemoryDataset(examples), run)
    wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    boxes = sum(len(photo.labels) for photo in photos)
    print(f'detector: {count} scenes to learn from, {held_out} held out with {boxes} boxes of {len(LABELS)} labels')
    print(f'  pretrained base, untrained head: mAP at 0.5 {before:.3f}')
    print(f'  object_detector after 30 epochs: mAP at 0.5 {metrics["map50"]:.3f}')
    print(f'  training: {wall:.0f} s ({cpu:.0f} s of processor time)')
    ready = loaded(ObjectDetector, xml, run)
    tasks = [example.task for example in examples[count : count + 8]]
    ready.predict(tasks)
    begin = time.perf_counter()
    ready.predict(tasks)
    print(f'  a prediction in a batch of 8: {(time.perf_counter() - begin) / 8 * 1000:.0f} ms')


def regions_of(scene: scenes.Scene) -> Iterable[dict]:
    for item in scene.objects:
        yield {
            'from_name': 'box', 'to_name': 'image', 'type': 'rectanglelabels', 'value': box_value(item, scene.size),
            'original_width': scene.size[0], 'original_height': scene.size[1],
        }  # fmt: skip


def main() -> None:
    parts = {'segmenter': segmenter, 'ocr': ocr, 'detector': detector}
    wanted = sys.argv[1:] or list(parts)
    if unknown := set(wanted) - set(parts):
        raise SystemExit(f'there is no {", ".join(sorted(unknown))}; there are {", ".join(parts)}')
    for name in wanted:
        try:
            parts[name]()
        except tuxpaint.AssetsMissingError as error:
            print(f'{name}: absent: {error}')


if __name__ == '__main__':
    main()
