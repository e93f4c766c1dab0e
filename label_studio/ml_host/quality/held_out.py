"""Which tasks versions are measured on."""

from __future__ import annotations

import heapq
from collections.abc import Collection

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.snapshot import read
from label_studio.ml_host.training.split import place_of
from ml_plugins.backend import Dataset
from ml_plugins.types import Example

# More tell little: with so many the interval is two percent wide to either side. They are picked by the hash of the
# split, so that the next version is measured on the same ones.
MOST_TASKS = 2000


def chosen(project_id: int, dataset: Dataset, skipped: Collection[int | None]) -> dict[int, Example]:
    """Held-out tasks by number, without those to skip."""
    found = heapq.nsmallest(
        MOST_TASKS,
        (example for example in dataset.held_out if example.task.id not in skipped),
        key=lambda example: place_of(project_id, example.task.id),
    )
    return {example.task.id: example for example in sorted(found, key=lambda example: example.task.id)}


def trained_on(version: ModelVersion) -> frozenset[int]:
    """Tasks that a version learned from, as far as this server knows.

    Some of them may be held out by now: that begins only once there are enough labels.
    """
    snapshot = patiently(lambda: version.snapshot)
    return frozenset(read(snapshot).train_ids.tolist()) if snapshot is not None else frozenset()
