"""Features of a run's pictures, through the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.image_classifier.backbones import Backbone
from ml_plugins.contrib.image_classifier.feature_store import FeatureStore
from ml_plugins.contrib.image_classifier.pictures import as_batch, chunks, load
from ml_plugins.contrib.image_classifier.targets import Picture
from ml_plugins.contrib.image_classifier.workers import in_parts
from ml_plugins.exceptions import TaskDataError


@dataclass(frozen=True)
class Extracted:
    """Pictures that could be read, with their features.

    Attributes:
        features: Of shape (pictures, size).
    """

    pictures: Sequence[Picture]
    features: np.ndarray


def compute(backbone: Backbone, squares: Sequence[np.ndarray]) -> np.ndarray:
    """Features of a batch, of shape (pictures, size)."""
    if backbone.device == 'cpu':
        return np.concatenate(in_parts(partial(_compute, backbone), squares))
    return _compute(backbone, squares)


def _compute(backbone: Backbone, squares: Sequence[np.ndarray]) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return backbone.features(as_batch(squares, backbone.device)).float().cpu().numpy()


def extract(
    pictures: Sequence[Picture],
    backbone: Backbone,
    run: Run,
    batch_size: int,
    total: int,
    done: int = 0,
    store: FeatureStore | None = None,
) -> Extracted:
    """Features of every picture that can be read; the others are reported to the run.

    Args:
        total: Steps of the whole run, for its progress; each picture is one.
        done: Steps that are behind it.
        store: Where features are kept between runs; None to compute all of them.
    """
    found: dict[int, np.ndarray] = {}
    missing = []
    for index, picture in enumerate(pictures):
        known = store.get(picture.task, picture.key) if store else None
        if known is None:
            missing.append(index)
        else:
            found[index] = known
    if store and found:
        run.log(f'Features of {len(found)} of {len(pictures)} pictures are kept from an earlier run.')
    done += len(found)
    run.progress(done, total)
    try:
        for batch in chunks(missing, batch_size):
            found.update(_extract_batch([(index, pictures[index]) for index in batch], backbone, run, store))
            done += len(batch)
            run.progress(done, total)
    finally:
        # Also of a run that is cancelled.
        if store:
            store.flush()
    usable = sorted(found)
    features = np.stack([found[index] for index in usable]) if usable else np.zeros((0, backbone.size), np.float32)
    return Extracted([pictures[index] for index in usable], features)


def _extract_batch(
    batch: Sequence[tuple[int, Picture]], backbone: Backbone, run: Run, store: FeatureStore | None
) -> dict[int, np.ndarray]:
    squares = {}
    for index, picture in batch:
        try:
            squares[index] = load(picture.task, picture.key)
        except TaskDataError as error:
            run.skip(picture.task.id, str(error))
    if not squares:
        return {}
    rows = compute(backbone, list(squares.values()))
    found = dict(zip(squares, rows, strict=True))
    for index, picture in batch:
        if store and index in found:
            store.put(picture.task, picture.key, found[index])
    return found
