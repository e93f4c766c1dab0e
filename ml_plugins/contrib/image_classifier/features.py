"""Features of a run's pictures, through the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.image_classifier.backbones import Backbone
from ml_plugins.contrib.image_classifier.feature_store import FeatureStore
from ml_plugins.contrib.image_classifier.pictures import Content, as_batch, chunks, content_of, square_of
from ml_plugins.contrib.image_classifier.targets import Picture
from ml_plugins.contrib.image_classifier.workers import in_parts
from ml_plugins.exceptions import TaskDataError
from ml_plugins.types import Task


@dataclass(frozen=True)
class Extracted:
    """Pictures that could be read, with their features.

    Attributes:
        features: Of shape (pictures, size).
    """

    pictures: Sequence[Picture]
    features: np.ndarray


def compute(backbone: Backbone, wanted: Sequence[tuple[Task, str]]) -> list[np.ndarray | TaskDataError]:
    """Features of the pictures in fields of tasks, each of shape (size,), or why a picture cannot be read.

    Files are read by the caller's thread, which may ask the server for them; decoding, which takes up to half as long
    as the network, is shared by several threads.
    """
    contents = [_unless_unreadable(content_of, item) for item in wanted]
    if backbone.device == 'cpu':
        parts = in_parts(lambda part: _compute(backbone, _decode(part)), contents)
        return [item for part in parts for item in part]
    return _compute(backbone, [item for part in in_parts(_decode, contents) for item in part])


def known_or_computed(
    backbone: Backbone, wanted: Sequence[tuple[Task, str]], store: FeatureStore | None
) -> list[np.ndarray | TaskDataError]:
    """As `compute`; what is stored is not computed again, and its picture not read. What is new is stored."""
    known = [store.get(task, key) if store and task.id is not None else None for task, key in wanted]
    missing = [item for item, features in zip(wanted, known, strict=True) if features is None]
    computed = compute(backbone, missing) if missing else []
    for (task, key), features in zip(missing, computed, strict=True):
        if store and task.id is not None and not isinstance(features, TaskDataError):
            store.put(task, key, features)
    rest = iter(computed)
    return [next(rest) if features is None else np.array(features) for features in known]


def _decode(contents: Sequence[Content | TaskDataError]) -> list[np.ndarray | TaskDataError]:
    return [_unless_unreadable(square_of, content) for content in contents]


def _compute(backbone: Backbone, squares: Sequence[np.ndarray | TaskDataError]) -> list[np.ndarray | TaskDataError]:
    import torch

    readable = [item for item in squares if not isinstance(item, TaskDataError)]
    if not readable:
        return list(squares)
    with torch.inference_mode():
        rows = iter(backbone.features(as_batch(readable, backbone.device)).float().cpu().numpy())
    return [item if isinstance(item, TaskDataError) else next(rows) for item in squares]


def _unless_unreadable(step: Callable[[Any], Any], item: Any) -> Any:
    if isinstance(item, TaskDataError):
        return item
    try:
        return step(item)
    except TaskDataError as error:
        return error


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
    found = {}
    computed = compute(backbone, [(picture.task, picture.key) for _, picture in batch])
    for (index, picture), features in zip(batch, computed, strict=True):
        if isinstance(features, TaskDataError):
            run.skip(picture.task.id, str(features))
            continue
        found[index] = features
        if store:
            store.put(picture.task, picture.key, features)
    return found
