"""Scenes with exact boxes and masks: Tux Paint's photo cut-outs pasted on scikit-learn's two photographs."""

import io
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.assets import tuxpaint


@dataclass(frozen=True)
class Placed:
    """One object of a scene.

    Attributes:
        box: Left, top, right and bottom in pixels, of what can be seen.
        mask: Booleans of the scene's size.
    """

    label: str
    box: tuple[int, int, int, int]
    mask: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A picture with its objects, the hindmost first."""

    pixels: np.ndarray
    objects: tuple[Placed, ...]

    def jpeg(self) -> bytes:
        """The picture as a file."""
        from PIL import Image

        content = io.BytesIO()
        Image.fromarray(self.pixels).save(content, 'JPEG', quality=92)
        return content.getvalue()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def make(
    count: int,
    size: tuple[int, int],
    seed: int,
    labels: tuple[str, ...] = ('bird', 'food', 'mammal', 'vehicle'),
    part: int | None = None,
) -> list[Scene]:
    """Scenes of one to three objects.

    Args:
        part: 0 for scenes of two thirds of the cut-outs, 1 for scenes of the others; None for all.

    Raises:
        tuxpaint.AssetsMissingError: The cut-outs cannot be had.
    """
    chance = random.Random(seed)
    stamps = [
        (label, path)
        for label in labels
        for number, path in enumerate(_stamps(label))
        if part is None or part == (number % 3 == 2)
    ]
    return [_scene(size, chance.sample(stamps, chance.randint(1, 3)), chance) for _ in range(count)]


@lru_cache
def _stamps(label: str) -> tuple[Path, ...]:
    root = tuxpaint.folder()
    found = [path for name in tuxpaint.CLASSES[label] for path in sorted((root / name).rglob('*.png'))]
    return tuple(path for path in found if 'cartoon' not in path.parts and _is_cut_out(path))


def _is_cut_out(path: Path) -> bool:
    """Whether it is a photo on a transparent ground."""
    from PIL import Image

    with Image.open(path) as stamp:
        if stamp.mode not in ('RGBA', 'LA', 'P'):
            return False
        shares = np.asarray(stamp.convert('RGBA').getchannel('A').resize((32, 32))) > 128
    return 0.05 < shares.mean() < 0.95


@lru_cache
def _backgrounds() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(load_sample_images().images)


def _scene(size: tuple[int, int], stamps: list[tuple[str, Path]], chance: random.Random) -> Scene:
    from PIL import Image

    ground = Image.fromarray(chance.choice(_backgrounds()))
    share = chance.uniform(0.5, 1)
    width, height = round(ground.width * share), round(ground.height * share)
    left, top = chance.randint(0, ground.width - width), chance.randint(0, ground.height - height)
    scene = ground.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
    masks: list[tuple[str, np.ndarray]] = []
    for label, path in stamps:
        with Image.open(path) as opened:
            stamp = opened.convert('RGBA')
        stamp = stamp.crop(stamp.getchannel('A').getbbox())
        factor = chance.uniform(0.25, 0.5) * min(size) / max(stamp.size)
        stamp = stamp.resize((max(8, round(stamp.width * factor)), max(8, round(stamp.height * factor))))
        place = chance.randint(0, size[0] - stamp.width), chance.randint(0, size[1] - stamp.height)
        scene.paste(stamp, place, stamp)
        whole = Image.new('L', size)
        whole.paste(stamp.getchannel('A'), place)
        covered = np.asarray(whole) > 128
        masks = [*((name, mask & ~covered) for name, mask in masks), (label, covered)]
    objects = tuple(Placed(label, _box(mask), mask) for label, mask in masks if mask.sum() >= 64)
    return Scene(np.asarray(scene), objects)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
