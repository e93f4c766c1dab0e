"""How what is learned from differs between two snapshots."""

from __future__ import annotations

from collections import defaultdict

from label_studio.ml_host.training.content import SnapshotRows
from ml_plugins.types import DatasetChanges


def changes_between(old: SnapshotRows, new: SnapshotRows) -> DatasetChanges:
    """Changes of the tasks to learn from; held-out tasks are in neither."""
    before, after = _learned(old), _learned(new)
    both = before.keys() & after.keys()
    return DatasetChanges(
        added=tuple(sorted(after.keys() - both)),
        changed=tuple(sorted(task_id for task_id in both if before[task_id] != after[task_id])),
        removed=tuple(sorted(before.keys() - both)),
    )


def _learned(rows: SnapshotRows) -> dict[int, frozenset[int]]:
    """Hashes of the annotations to learn from, by task; the same content by somebody else is no change."""
    chosen = rows.learned & ~rows.held_out
    found: dict[int, set[int]] = defaultdict(set)
    for task_id, content in zip(rows.tasks[chosen].tolist(), rows.hashes[chosen].tolist(), strict=True):
        found[task_id].add(content)
    return {task_id: frozenset(contents) for task_id, contents in found.items()}
