"""What follows from the walks of a replay: curves with intervals, and which strategy to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from label_studio.ml_host.replay.options import BASELINE
from label_studio.ml_host.replay.result import ArmFound, Found
from ml_plugins.strategies.statistics import interval_of_means

AUTOMATIC = 'automatic'


def summary(found: Found, is_complete: bool) -> dict[str, Any]:
    """The curves, the best first, and once all walks are done a recommendation with a sentence."""
    arms = sorted((arm for arm in found.arms if arm.runs), key=lambda arm: -_areas(arm).mean())
    curves = [_curve(arm, found.labels) for arm in arms]
    _compare(curves, arms)
    name, sentence = _recommended(arms) if is_complete else ('', '')
    return {'curves': curves, 'recommended': name, 'sentence': sentence}


def _curve(arm: ArmFound, labels: Sequence[int]) -> dict[str, Any]:
    values = _values(arm)
    low, high = interval_of_means(values)
    area, area_low, area_high = _mean(_areas(arm))
    return {
        'name': arm.name,
        'title': arm.title,
        'points': [
            [int(count), round(float(mean), 4), round(max(0.0, float(start)), 4), round(min(1.0, float(end)), 4)]
            for count, mean, start, end in zip(labels, values.mean(axis=0), low, high, strict=True)
        ],
        'mean': round(area, 4),
        'low': round(max(0.0, area_low), 4),
        'high': round(min(1.0, area_high), 4),
        'seconds': round(arm.seconds, 1),
        'repetitions': len(arm.runs),
    }


def _compare(curves: list[dict[str, Any]], arms: Sequence[ArmFound]) -> None:
    """Note in each curve at how many labels it is as good as random is at the end."""
    last = next((curve['points'][-1][1] for curve in curves if curve['name'] == BASELINE), None)
    for curve in curves:
        reached = (point[0] for point in curve['points'] if last is not None and point[1] >= last)
        curve['labels_to_baseline'] = next(reached, None)


def _recommended(arms: Sequence[ArmFound]) -> tuple[str, str]:
    """The best one; Automatic where the best is not better than that beyond chance."""
    best, by_name = arms[0], {arm.name: arm for arm in arms}
    automatic, baseline = by_name.get(AUTOMATIC), by_name.get(BASELINE)
    if automatic is not None and automatic is not best and not _is_better(best, automatic):
        best = automatic
    if baseline is None or best is baseline or not _is_better(best, baseline):
        kept = automatic or best
        return kept.name, (
            f'No strategy is clearly better than random on these labels; {kept.title} costs nothing to keep.'
            if kept.name != BASELINE
            else 'No strategy is better than random on these labels.'
        )
    mean, low, high = _mean(_differences(best, baseline))
    return best.name, (
        f'{best.title}: {100 * mean:+.1f} points over random on average over the curve '
        f'({100 * low:+.1f} to {100 * high:+.1f}).'
    )


def _is_better(one: ArmFound, other: ArmFound) -> bool:
    """Whether one is better than another beyond chance, over the same seeds; with one seed nobody can tell."""
    differences = _differences(one, other)
    return len(differences) > 1 and _mean(differences)[1] > 0


def _differences(one: ArmFound, other: ArmFound) -> np.ndarray:
    common = sorted(one.runs.keys() & other.runs.keys())
    return np.array([np.mean(one.runs[seed]) - np.mean(other.runs[seed]) for seed in common])


def _values(arm: ArmFound) -> np.ndarray:
    return np.array([arm.runs[seed] for seed in sorted(arm.runs, key=int)])


def _areas(arm: ArmFound) -> np.ndarray:
    return _values(arm).mean(axis=1)


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    low, high = interval_of_means(values[:, None])
    return float(values.mean()), float(low[0]), float(high[0])
