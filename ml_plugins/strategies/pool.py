"""Tasks as a query strategy sees them: arrays, one row a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ml_plugins.exceptions import StrategyError

# What each flag of `Needs` is called in a sentence.
_WORDS = {
    'probabilities': 'class probabilities',
    'embeddings': 'embeddings',
    'members': 'answers of several models or dropout passes',
    'sequences': 'log-probabilities of tokens',
    'regions': 'scores of regions',
}


@dataclass(frozen=True)
class Needs:
    """What a strategy needs to work, or what there is."""

    probabilities: bool = False
    embeddings: bool = False
    members: bool = False
    sequences: bool = False
    regions: bool = False

    def missing(self, available: Needs) -> list[str]:
        """What of this is not available, in words."""
        names = [item.name for item in fields(self)]
        return [_WORDS[name] for name in names if getattr(self, name) and not getattr(available, name)]

    def why_not(self, available: Needs) -> str:
        """A sentence that names what is missing; empty when nothing is."""
        missing = self.missing(available)
        return f'The ML backend gives no {" and no ".join(missing)}.' if missing else ''


@dataclass(frozen=True)
class Pool:
    """Unlabeled tasks and what a model says about them; row ``i`` of everything belongs to ``task_ids[i]``.

    Attributes:
        task_ids: Task numbers, shape (n,).
        probabilities: Class probabilities by control, each of shape (n, classes). A row with a value that is not
            finite says that the model knows nothing about the task.
        embeddings: Feature vectors, shape (n, d), float32 or float16; may be memory-mapped.
        members: The probabilities of each member of a committee, or of each pass with dropout.
        sequences: For each task the log-probabilities of the tokens of the best answer, each of shape (tokens,).
        regions: For each task the scores of its regions: shape (regions,) with confidences in 0..1, or
            (regions, classes) with class probabilities of boxes or pixels.
        clusters: Cluster number of each task, shape (n,), where the host has clustered them.
        multi_label: Controls whose labels do not exclude one another. A control whose rows do not add up to 1 is taken
            for one, too.
    """

    task_ids: np.ndarray
    probabilities: Mapping[str, np.ndarray] | None = None
    embeddings: np.ndarray | None = None
    members: Sequence[Mapping[str, np.ndarray]] | None = None
    sequences: Sequence[np.ndarray] | None = None
    regions: Sequence[np.ndarray] | None = None
    clusters: np.ndarray | None = None
    multi_label: Collection[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'task_ids', np.asarray(self.task_ids))
        for name, rows in self._parts():
            if len(rows) != len(self.task_ids):
                raise StrategyError(
                    f'the pool has {len(self.task_ids)} tasks, but {name} has {len(rows)} rows; give one row a task'
                )

    def __len__(self) -> int:
        return len(self.task_ids)

    @property
    def available(self) -> Needs:
        """What a strategy can work with."""
        return Needs(
            probabilities=bool(self.probabilities),
            embeddings=self.embeddings is not None,
            members=bool(self.members),
            sequences=self.sequences is not None,
            regions=self.regions is not None,
        )

    def only(self, rows: np.ndarray) -> Pool:
        """The pool with these rows, in this order."""

        def pick(part: Any) -> Any:
            if part is None or isinstance(part, np.ndarray):
                return None if part is None else part[rows]
            return [part[row] for row in rows]

        def pick_controls(part: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: np.asarray(values)[rows] for name, values in part.items()}

        return Pool(
            self.task_ids[rows],
            pick_controls(self.probabilities) if self.probabilities else None,
            pick(self.embeddings),
            [pick_controls(member) for member in self.members] if self.members else None,
            pick(self.sequences),
            pick(self.regions),
            pick(self.clusters),
            self.multi_label,
        )

    def _parts(self) -> list[tuple[str, Any]]:
        parts = [(f'probabilities of "{name}"', rows) for name, rows in (self.probabilities or {}).items()]
        for number, member in enumerate(self.members or ()):
            parts += [(f'member {number}, control "{name}",', rows) for name, rows in member.items()]
        named = {name: getattr(self, name) for name in ('embeddings', 'sequences', 'regions', 'clusters')}
        return parts + [(name, rows) for name, rows in named.items() if rows is not None]


@dataclass(frozen=True)
class Labeled:
    """Tasks that have labels.

    Attributes:
        task_ids: Task numbers, shape (m,).
        answers: By control, for each task its label, or a list of labels.
        embeddings: Feature vectors, shape (m, d).
    """

    task_ids: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    embeddings: np.ndarray | None = None

    def __post_init__(self) -> None:
        parts = {f'answers of "{name}"': given for name, given in self.answers.items()}
        if self.embeddings is not None:
            parts['embeddings'] = self.embeddings
        for name, rows in parts.items():
            if len(rows) != len(self.task_ids):
                raise StrategyError(f'{len(self.task_ids)} tasks are labeled, but {name} has {len(rows)} rows')

    def __len__(self) -> int:
        return len(self.task_ids)

    def classes(self, control: str) -> set[str]:
        """Labels that were given with one control so far."""
        found: set[str] = set()
        for answer in self.answers.get(control, ()):
            found.update(map(str, answer) if isinstance(answer, (list, tuple, set, frozenset)) else [str(answer)])
        return found


@dataclass(frozen=True)
class Picked:
    """Tasks in the order in which they are to be served.

    Attributes:
        indices: Rows of the pool.
        propensities: How likely this row was to be picked in this way: for an explored one the share divided by the
            number of tasks that were left, else one minus the share. The inverse is the weight of an explored task in
            estimates about all tasks.
        explored: Whether it was drawn at random from all that were left, whatever its score.
    """

    indices: np.ndarray
    propensities: np.ndarray
    explored: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)
