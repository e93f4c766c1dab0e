"""The class that a plugin's author writes: one loaded model that predicts and may train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ml_plugins.agreement import agreement as common_agreement
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.label_config import LabelConfig
from ml_plugins.params import Param, resolve_params
from ml_plugins.types import DatasetChanges, Example, Interaction, Prediction, Task, TaskFailure, VersionFiles


@dataclass(frozen=True)
class Serves:
    """A pair of tags that a backend can fill, e.g. ``Serves('Choices', 'Image')``."""

    control: str
    object: str


class Dataset(Protocol):
    """This project's labeled tasks, streamed from the database: iterate as often as needed.

    What was submitted when the run began is what it sees, however much people label meanwhile. Annotations that are
    changed or deleted during the run are left out from then on.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Example]: ...

    @property
    def train(self) -> Iterator[Example]:
        """Examples to learn from."""
        ...

    @property
    def held_out(self) -> Iterator[Example]:
        """Examples of the stable evaluation split, never trained on."""
        ...

    @property
    def changes(self) -> DatasetChanges | None:
        """What changed since ``run.previous`` was trained; None when there is no such version or it is not known."""
        ...

    def only(self, task_ids: Collection[int]) -> Iterator[Example]:
        """Examples of these tasks, as far as they are labeled; the others are not read."""
        ...


class Run(Protocol):
    """What ``fit`` gets to report, to store files and to be stopped.

    Attributes:
        directory: Private and empty; what is left in it becomes the version's artifact.
        cache_directory: Kept between the runs of one project and backend, e.g. for features.
        checkpoint_directory: Kept while this run is tried again after its process ended, and removed with the run;
            empty at the first attempt.
        seed: Seed of this run. The generators of ``random``, numpy and torch are seeded with it before ``fit``.
        device: ``"cpu"``, a CUDA device such as ``"cuda:0"``, or ``"auto"``; `ml_plugins.torch_support.pick_device`
            turns it into a device of torch, so that backends without torch never import it.
        previous: Files of the version in service, from which ``fit`` may go on; None to start from scratch.
    """

    directory: Path
    cache_directory: Path
    checkpoint_directory: Path
    seed: int
    device: str
    previous: VersionFiles | None

    def progress(self, done: int, total: int, **metrics: float) -> None:
        """Report progress and metrics; raises `TrainingCancelledError` once a stop was asked for."""
        ...

    def log(self, message: str) -> None:
        """Write a line into the run's log, which the page shows live."""
        ...

    def skip(self, task_id: int | None, reason: str) -> None:
        """Report a task that cannot be used; the page lists it."""
        ...

    def should_stop(self) -> bool:
        """Whether somebody pressed Cancel or the worker is shutting down."""
        ...


@dataclass(frozen=True)
class BackendContext:
    """What a host gives a backend.

    Attributes:
        label_config: The project's label config.
        params: Values by parameter name; checked, defaults filled in.
        version: The trained version to load, or None before the first one.
        device: ``"cpu"``, a CUDA device such as ``"cuda:0"``, or ``"auto"``; `ml_plugins.torch_support.pick_device`
            turns it into a device of torch, so that backends without torch never import it.
        cache_directory: A folder that may be used for files kept between calls.
    """

    label_config: LabelConfig
    params: Mapping[str, Any] = field(default_factory=dict)
    version: VersionFiles | None = None
    device: str = 'auto'
    project_id: int | None = None
    cache_directory: Path | None = None


class MLBackend(ABC):
    """One model, resident in the server for one project and version.

    The host calls `setup` once, then `predict` as often as needed from one thread, then `close`. A new version is a
    new instance. `fit` runs on another instance, in a worker.

    Attributes:
        serves: Pairs of tags this backend can fill; at least one must stand in the label config.
        params: Parameters that a project may set.
        max_batch: Most tasks handed to one `predict` call.
        max_delay: Seconds that a task may wait for others to share its batch; a click in the editor never does.
        fence: ``"thread"`` runs it inside the server's process, ``"process"`` in a child process of its own, for native
            code that may crash.
        fence_memory: Bytes of memory that the child process may take on top of what it takes without the model; 0 for
            no limit.
        safe_files: Patterns of file names, beside the formats that are known to be safe, which may be in an uploaded
            version since `setup` reads them without running what is in them, e.g. ``('weights.bin',)``.
        needs_training: True when nothing can be predicted before the first version.
        embeds_untrained: True when it gives embeddings before the first version all the same, as a pretrained network
            does: `predict` then returns predictions without regions. Active learning chooses the first tasks by them;
            nothing of it is shown.
        is_interactive: True when `predict` answers clicks and boxes that annotators make in the editor.
    """

    serves: ClassVar[Sequence[Serves]] = ()
    params: ClassVar[Sequence[Param]] = ()
    max_batch: ClassVar[int] = 16
    max_delay: ClassVar[float] = 0.0
    fence: ClassVar[str] = 'thread'
    fence_memory: ClassVar[int] = 0
    safe_files: ClassVar[Sequence[str]] = ()
    needs_training: ClassVar[bool] = False
    embeds_untrained: ClassVar[bool] = False
    is_interactive: ClassVar[bool] = False

    def __init__(self, context: BackendContext) -> None:
        self.context = context
        self.label_config = context.label_config
        self.param_values = resolve_params(type(self).params, context.params)
        self.version = context.version
        self.device = context.device

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        """Refuse a label config that this backend cannot serve; override for finer rules.

        Raises:
            LabelConfigError: Names the tag that is missing.
        """
        if not cls.serves or any(label_config.controls(pair.control, pair.object) for pair in cls.serves):
            return
        wanted = ' or '.join(f'<{pair.control}> on <{pair.object}>' for pair in cls.serves)
        raise LabelConfigError(f'it needs {wanted}, and the label config has {label_config.summary()}')

    @classmethod
    def agreement(cls, answer: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]]) -> float:
        """How far an answer agrees with what people say; versions are measured and compared by it.

        Override it where the common measure, `ml_plugins.agreement.agreement`, misses what matters.

        Args:
            answer: What the backend predicted, in Label Studio's format.
            truth: What people submitted, on the controls that the backend answers.

        Returns:
            A share from 0, nothing in common, to 1, the same.
        """
        return common_agreement(answer, truth)

    @classmethod
    def can_fit(cls) -> bool:
        """Whether this backend trains, i.e. overrides `fit`."""
        return cls.fit is not MLBackend.fit

    def setup(self) -> None:  # noqa: B027
        """Load the model. Called once, before the first `predict`, never per request."""

    def memory_bytes(self) -> int | None:
        """Bytes that the loaded model takes, asked once after `setup`; None lets the host measure it.

        The host measures by how much its process grew while loading: say the number where that is wrong, e.g. for a
        model on a GPU or for files that are mapped and read later.
        """
        return None

    @abstractmethod
    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        """Predict a batch.

        Args:
            tasks: At most `max_batch` tasks.
            interaction: Set when an annotator clicked or drew; then there is one task.

        Returns:
            One item a task, in order: a `Prediction`, a `TaskFailure` with the reason, or None for "nothing to say".
        """

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        """Train on the project's annotations; leave the version's files in ``run.directory``.

        Args:
            dataset: Labeled tasks with a stable held-out split.
            run: Progress, log, cancel, directories, device and the previous version.

        Returns:
            Metrics by name, e.g. ``{"accuracy": 0.93}``.

        Raises:
            TrainingError: Training cannot be done; the message is shown to the person as it is.
        """
        raise NotImplementedError(f'{type(self).__name__} does not train')

    def close(self) -> None:  # noqa: B027
        """Release memory; called when the model leaves the server."""
