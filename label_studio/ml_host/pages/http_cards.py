"""What the ML backends page shows of a backend that is connected by URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from label_studio.ml_host.http_backends.rows import label_of, name_of
from label_studio.ml_host.models import FailureRecord
from label_studio.ml_host.pages.prelabel import PrelabelPanel, panel_of
from label_studio.ml_host.prelabeling.choices import SKIPS, Skip

SHOWN_FAILURES = 5


@dataclass(frozen=True)
class HTTPCard:
    """One connected backend.

    Attributes:
        connection: Upstream's row.
        failures: What went wrong lately, newest first.
        error: Why the last press of a button did nothing.
    """

    name: str
    connection: Any
    version: str
    prelabel: PrelabelPanel
    failures: Sequence[FailureRecord] = ()
    error: str = ''
    skips: Sequence[Skip] = field(default=SKIPS)

    @property
    def address(self) -> str:
        """Its address without credentials."""
        scheme, _, rest = self.connection.url.partition('://')
        return f'{scheme}://{rest.rpartition("@")[2]}'

    @property
    def state(self) -> str:
        """What upstream last found."""
        return self.connection.get_state_display()

    @property
    def is_well(self) -> bool:
        """Whether it answered when it was last asked."""
        return not self.connection.not_ready


def http_card_of(connection: Any, error: str = '') -> HTTPCard:
    """The card of a connected backend."""
    name = name_of(connection)
    failures = FailureRecord.objects.filter(plugin=name, project=connection.project_id)[:SHOWN_FAILURES]
    panel = panel_of(connection.project, name)
    return HTTPCard(name, connection, label_of(connection), panel, list(failures), error)
