"""Find installed plugins by their entry points: names only, no plugin code is imported here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

ENTRY_POINT_GROUP = 'label_studio.ml_backends'


@dataclass(frozen=True)
class Candidate:
    """An installed plugin before anything of it is imported.

    Attributes:
        name: The entry point's name, which people type.
        target: ``"package.apps:ConfigClass"``, or a class of the ML backend SDK.
        distribution: The pip package it came with.
        version: That package's version.
        folder: Folder of a backend for the ML backend SDK that is no package; then the target is its class, or empty.
    """

    name: str
    target: str
    distribution: str = ''
    version: str = ''
    folder: str = ''


def _candidate(entry: EntryPoint) -> Candidate:
    distribution = entry.dist
    return Candidate(
        entry.name,
        entry.value,
        distribution.name if distribution else '',
        distribution.version if distribution else '',
    )


def find_candidates(exclude: Collection[str] = (), group: str = ENTRY_POINT_GROUP) -> list[Candidate]:
    """What is installed in a group by name, the excluded ones left out; the first of two with one name comes first."""
    found = [_candidate(entry) for entry in entry_points(group=group)]
    return sorted((item for item in found if item.name not in exclude), key=lambda item: (item.name, item.target))
