"""What a version answers on the held-out tasks, packed for its `Evaluation`."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.models import Evaluation, ModelVersion

Result = Sequence[Mapping[str, Any]]
# Pictures inside of results: megabytes that no comparison looks at.
_PICTURES = frozenset(('rle', 'imageDataURL', 'maskDataURL'))


@dataclass(frozen=True)
class HeldOutAnswer:
    """One held-out task.

    Attributes:
        truth: What people say, in Label Studio's format.
        answer: What the version says.
        agreement: How far both agree, 0..1.
        truth_hash: Tells whether people say something else by now.
        score: How sure the version is; None where it does not say.
        failed: The version raised, or answered what does not fit the label config; that agrees with nothing.
    """

    task_id: int
    truth: Result
    answer: Result
    agreement: float
    truth_hash: str
    score: float | None = None
    failed: bool = False


@dataclass(frozen=True)
class Answers:
    """A version's answers.

    Attributes:
        controls: Names of the controls that the agreements are about; None for all.
        by_task: Answers by task.
    """

    controls: frozenset[str] | None
    by_task: Mapping[int, HeldOutAnswer]


def pack(answers: Answers) -> bytes:
    """The answers as they are stored."""
    rows = [_row(item) for _, item in sorted(answers.by_task.items())]
    controls = None if answers.controls is None else sorted(answers.controls)
    return zlib.compress(json.dumps({'controls': controls, 'answers': rows}).encode())


def unpack(content: bytes) -> Answers:
    """What `pack` packed."""
    stored = json.loads(zlib.decompress(bytes(content)))
    controls = None if stored['controls'] is None else frozenset(stored['controls'])
    return Answers(controls, {row[0]: HeldOutAnswer(*row) for row in stored['answers']})


def answers_of(version: ModelVersion) -> Answers:
    """The stored answers of a version; none when it was never measured."""
    found = Evaluation.objects.filter(version=version).values_list('content', flat=True).first()
    return unpack(found) if found is not None else Answers(None, {})


def keep_answers(version: ModelVersion, answers: Answers) -> None:
    """Store a version's answers in place of those stored before."""
    Evaluation.objects.update_or_create(version=version, defaults={'content': pack(answers)})


def hash_of(result: Iterable[Mapping[str, Any]]) -> str:
    """A result's fingerprint; numbers of regions, which the editor draws anew, and scores do not count."""
    told = [{name: value for name, value in item.items() if name not in ('id', 'score')} for item in result]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _row(item: HeldOutAnswer) -> list[Any]:
    """The fields in their order."""
    truth, answer = _without_pictures(item.truth), _without_pictures(item.answer)
    return [item.task_id, truth, answer, item.agreement, item.truth_hash, item.score, item.failed]


def _without_pictures(result: Result) -> list[dict[str, Any]]:
    return [
        {**item, 'value': {name: value for name, value in item['value'].items() if name not in _PICTURES}}
        if isinstance(item.get('value'), Mapping)
        else dict(item)
        for item in result
    ]
