"""What a backend gives a strategy to work with, as far as it has shown."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling.store import current_label
from label_studio.ml_host.sampling.homes import store_of
from label_studio.ml_host.sampling.rows import EMBEDDING, MEMBERS, PROBABILITIES, REGIONS, TOKENS
from ml_plugins.strategies import Needs
from ml_plugins.strategies.registry import Offer
from ml_plugins.strategies.registry import offers as all_offers

# What an answer of a backend can carry; what it does carry is known once it has answered.
POSSIBLE = Needs(probabilities=True, embeddings=True, members=True, sequences=True, regions=True)


def available(row: ProjectBackend | None) -> Needs:
    """What the version in service has given for tasks of its project; whatever is possible before its first answer."""
    if row is None:
        return POSSIBLE
    answers = store_of(row.project_id, current_label(row)).find(np.empty(0, dtype=np.int64))
    if not answers.parts:
        return POSSIBLE
    return needs_of([*answers.names('d:'), *answers.names('o:')])


def needs_of(columns: Iterable[str]) -> Needs:
    """What a store with these columns can serve."""
    names = set(columns)
    return Needs(
        probabilities=any(name.startswith(PROBABILITIES) for name in names),
        embeddings=EMBEDDING in names,
        members=any(name.startswith(MEMBERS) for name in names),
        sequences=TOKENS in names,
        regions=REGIONS in names,
    )


def offers(row: ProjectBackend | None) -> list[Offer]:
    """All strategies for the page, each with the reason why it cannot work with this backend."""
    return all_offers(available(row))
