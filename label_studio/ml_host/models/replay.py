"""Replays: query strategies held against each other over labels that are there."""

from label_studio.ml_host.models.analysis import Analysis


class ReplayRun(Analysis):
    """One replay; ``result`` holds what `label_studio.ml_host.replay.result.Found` reads."""

    class Meta(Analysis.Meta):
        verbose_name = 'replay'
