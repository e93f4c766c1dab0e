"""What crosses the border between a plugin and its host: small frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ml_plugins.plain import storable_text

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


class TaskFiles(Protocol):
    """How a host resolves what a task's data points at; plugins use it through `Task`."""

    def read(self, task: Task, key: str) -> bytes: ...

    def path(self, task: Task, key: str) -> Path: ...


@dataclass(frozen=True)
class Task:
    """One labeling task.

    Attributes:
        id: The task's number; None for data that is not stored, as in the prediction service.
        data: The task's data as it was imported, e.g. ``{"image": "/data/upload/1/cat.jpg"}``.
        project_id: The project the task belongs to.
        meta: Meta data given at import.
    """

    id: int | None
    data: Mapping[str, Any]
    project_id: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    files: TaskFiles | None = field(default=None, repr=False, compare=False)

    def text(self, key: str) -> str:
        """Inline text, or the decoded content of the file that the field points at.

        Raises:
            TaskDataError: The field is missing or its file cannot be read.
        """
        from ml_plugins.task_data import text_of

        return text_of(self, key)

    def bytes(self, key: str) -> bytes:
        """The content of the file that ``data[key]`` points at. Raises `TaskDataError`."""
        from ml_plugins.task_data import files_of

        return files_of(self, key).read(self, key)

    def path(self, key: str) -> Path:
        """A local path with that content, valid while the call lasts. Raises `TaskDataError`."""
        from ml_plugins.task_data import files_of

        return files_of(self, key).path(self, key)

    def image(self, key: str) -> Image:
        """The picture as an RGB ``PIL.Image``, turned upright by its EXIF data. Raises `TaskDataError`."""
        from ml_plugins.task_data import image_of

        return image_of(self, key)


@dataclass(frozen=True)
class Region:
    """One item of a Label Studio ``result`` list; built by the controls of a `LabelConfig`.

    Attributes:
        value: The region's value in Label Studio's format, e.g. ``{"choices": ["cat"]}``.
        score: Confidence in 0..1, or None.
    """

    from_name: str
    to_name: str
    type: str
    value: Mapping[str, Any]
    score: float | None = None
    id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_result(self) -> dict[str, Any]:
        """The region as Label Studio stores it."""
        item: dict[str, Any] = {
            'from_name': self.from_name,
            'to_name': self.to_name,
            'type': self.type,
            'value': dict(self.value),
            **self.extra,
        }
        if self.id is not None:
            item['id'] = self.id
        if self.score is not None:
            item['score'] = float(self.score)
        return item


@dataclass(frozen=True)
class Prediction:
    """What a backend says about one task.

    Attributes:
        regions: Regions in display order; empty when the model finds nothing.
        score: Confidence of the whole prediction in 0..1, or None.
        probabilities: Class probabilities by control name, each of shape (classes,), in the order of the control's
            labels. Used by active learning.
        embedding: Feature vector of shape (d,). Used by active learning.
        members: Class probabilities by control of each member of a committee, or of each pass with dropout; as many for
            every task. Used by active learning.
        log_probabilities: Of each token of the best answer of a sequence, shape (tokens,). Used by active learning.
    """

    regions: Sequence[Region] = ()
    score: float | None = None
    probabilities: Mapping[str, np.ndarray] | None = None
    embedding: np.ndarray | None = None
    members: Sequence[Mapping[str, np.ndarray]] | None = None
    log_probabilities: np.ndarray | None = None

    def result(self) -> list[dict[str, Any]]:
        """The regions as a Label Studio ``result`` list."""
        return [region.as_result() for region in self.regions]


@dataclass(frozen=True)
class TaskFailure:
    """Returned by ``predict`` in place of a `Prediction` for a task that cannot be predicted."""

    task_id: int | None
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, 'reason', storable_text(str(self.reason)))


@dataclass(frozen=True)
class Interaction:
    """A click, box or selection that an annotator just made in the editor.

    Attributes:
        regions: The drawn regions, in Label Studio's ``result`` format.
        user_id: Who drew them.
    """

    regions: Sequence[Mapping[str, Any]] = ()
    user_id: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotation:
    """One submitted annotation of a task.

    Attributes:
        result: Regions in Label Studio's format.
        user_id: Who made it.
        ground_truth: Marked as ground truth.
    """

    id: int
    result: Sequence[Mapping[str, Any]]
    user_id: int | None = None
    ground_truth: bool = False

    def labels(self, from_name: str) -> list[str]:
        """All labels this annotation gives with one control, in order, without repetition."""
        found: dict[str, None] = {}
        for region in self.result:
            if region.get('from_name') == from_name:
                labels = region.get('value', {}).get(region.get('type', ''))
                # Ratings and numbers are no labels, and neither are the letters of a date.
                for label in labels if isinstance(labels, (list, tuple)) else ():
                    if isinstance(label, str):
                        found[label] = None
        return list(found)


@dataclass(frozen=True)
class Example:
    """A labeled task: what ``fit`` learns from.

    Attributes:
        annotations: Submitted annotations, oldest first, without skipped ones.
        held_out: True when the task belongs to the stable evaluation split and must not be trained on.
    """

    task: Task
    annotations: Sequence[Annotation]
    held_out: bool = False

    @property
    def annotation(self) -> Annotation:
        """The annotation to learn from: ground truth first, else the newest."""
        truth = [item for item in self.annotations if item.ground_truth]
        return (truth or list(self.annotations))[-1]


@dataclass(frozen=True)
class DatasetChanges:
    """How the tasks to learn from differ from those that the previous version learned from, by task number.

    Held-out tasks are in none of them; one that has become held out is among the removed ones.

    Attributes:
        added: Tasks that the previous version did not learn from.
        changed: Tasks whose annotation to learn from is another one, or has another content.
        removed: Tasks that must not be learned from any more: deleted, skipped, unlabeled, or held out now.
    """

    added: Sequence[int] = ()
    changed: Sequence[int] = ()
    removed: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True)
class VersionFiles:
    """The files of one published model version.

    Attributes:
        number: Counts from 1 in each project and backend.
        path: Folder with what ``fit`` left in its work directory; read only.
        metrics: What ``fit`` returned.
    """

    number: int
    path: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
