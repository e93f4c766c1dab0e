"""Masks from colours alone: GrabCut on the part of the picture around what was drawn."""

from __future__ import annotations

import numpy as np

from ml_plugins.contrib.segmenter.prompts import Prompt

# Share of a box's sides that is looked at around it, so that its surroundings are known.
_MARGIN = 0.3
_LEAST_MARGIN = 12
# Of the longer side of what is looked at.
_CLICK_RADIUS = 0.012
# How much the colour, as lightness and two tones of 255, may differ from the clicked one's at first.
_TOLERANCE = (42, 30, 30)
# How far the object may go on beyond the pixels that look like the clicked ones, as a share of their extent.
_REACH = 0.5
_LEAST_REACH = 10


def segment(picture: np.ndarray, prompt: Prompt, side: int, iterations: int) -> np.ndarray:
    """The mask of the object, booleans of the picture's size.

    Args:
        picture: RGB bytes of shape (height, width, 3).
        side: Longest side that is computed on; larger parts are made smaller and their mask larger again.
        iterations: Rounds of GrabCut.
    """
    import cv2

    height, width = picture.shape[:2]
    left, top, right, bottom = _window(prompt, width, height)
    part = picture[top:bottom, left:right]
    scale = min(1.0, side / max(part.shape[:2]))
    size = tuple(max(1, round(length * scale)) for length in (right - left, bottom - top))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    factor = np.array(size) / (right - left, bottom - top)
    found = _cut(small, _moved(prompt, np.array([left, top]), factor), iterations)
    smooth = cv2.resize(found.astype(np.float32), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = smooth > 0.5
    return mask


def _window(prompt: Prompt, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of the picture that matters: around a box, and all of it for clicks."""
    bounds = prompt.bounds()
    if bounds is None:
        return 0, 0, width, height
    low, high = bounds[:2], bounds[2:]
    if len(prompt.positive):
        low, high = np.minimum(low, prompt.positive.min(axis=0)), np.maximum(high, prompt.positive.max(axis=0) + 1)
    margin = np.maximum((high - low) * _MARGIN, _LEAST_MARGIN)
    left, top = np.maximum(np.floor(low - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(high + margin), (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _moved(prompt: Prompt, origin: np.ndarray, factor: np.ndarray) -> Prompt:
    return Prompt(
        [(area - origin) * factor for area in prompt.areas],
        (prompt.positive - origin) * factor,
        (prompt.negative - origin) * factor,
    )


def _cut(picture: np.ndarray, prompt: Prompt, iterations: int) -> np.ndarray:
    import cv2

    hints = _hints(picture, prompt)
    known = np.isin(hints, (cv2.GC_FGD, cv2.GC_PR_FGD))
    # Its clusters of colours begin at random places; the same click shall give the same mask.
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(np.ascontiguousarray(picture[:, :, ::-1]), hints, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        # Too few pixels to tell colours apart.
        return known
    found = _without_crumbs(np.isin(hints, (cv2.GC_FGD, cv2.GC_PR_FGD)), prompt)
    return found if found.any() else known


def _hints(picture: np.ndarray, prompt: Prompt) -> np.ndarray:
    """For each pixel what is known of it."""
    import cv2

    height, width = picture.shape[:2]
    if prompt.areas:
        hints = np.full((height, width), cv2.GC_BGD, np.uint8)
        for area in prompt.areas:
            cv2.fillPoly(hints, [np.round(area).astype(np.int32)], cv2.GC_PR_FGD)
    else:
        alike = _alike(picture, prompt.positive)
        hints = np.where(_near(alike), cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
        hints[alike] = cv2.GC_PR_FGD
        if len(prompt.negative):
            # What looks like a click beside the object does not belong to it, unless it also looks like one on it.
            beside = _alike(picture, prompt.negative)
            hints[beside] = np.where(alike[beside], cv2.GC_PR_BGD, cv2.GC_BGD)
    radius = max(1, round(_CLICK_RADIUS * max(height, width)))
    for points, value in ((prompt.negative, cv2.GC_BGD), (prompt.positive, cv2.GC_FGD)):
        for x, y in points.astype(int):
            cv2.circle(hints, (int(x), int(y)), radius, int(value), -1)
    if not np.isin(hints, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        # A box around the whole picture: what touches its sides is rather not the object.
        hints[[0, -1]] = hints[:, [0, -1]] = cv2.GC_PR_BGD
    return hints


def _alike(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels around the clicks with about the same colour."""
    import cv2

    smooth = cv2.bilateralFilter(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), 5, 20, 5)
    reached = np.zeros((picture.shape[0] + 2, picture.shape[1] + 2), np.uint8)
    flags = 4 | 255 << 8 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    for x, y in points.astype(int):
        cv2.floodFill(smooth, reached, (int(x), int(y)), 0, _TOLERANCE, _TOLERANCE, flags)
    return reached[1:-1, 1:-1] > 0


def _near(alike: np.ndarray) -> np.ndarray:
    """The surroundings of what looks like the clicked pixels; the object ends within them."""
    near = np.zeros_like(alike)
    rows, columns = (np.flatnonzero(alike.any(axis=axis)) for axis in (1, 0))
    (top, bottom), (left, right) = (
        (max(0, low - reach), high + reach + 1)
        for low, high, reach in (
            (places[0], places[-1], int((places[-1] - places[0]) * _REACH) + _LEAST_REACH) for places in (rows, columns)
        )
    )
    near[top:bottom, left:right] = True
    return near


def _without_crumbs(found: np.ndarray, prompt: Prompt) -> np.ndarray:
    """Clicks mean the pieces they lie on; a box means its largest piece and those that are not much smaller."""
    import cv2

    count, pieces, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=4)
    if count <= 2:
        return found
    kept = {int(pieces[int(y), int(x)]) for x, y in prompt.positive} - {0}
    if prompt.areas:
        sizes = stats[1:, cv2.CC_STAT_AREA]
        kept |= set((np.flatnonzero(sizes >= sizes.max() / 5) + 1).tolist())
    return np.isin(pieces, list(kept))
