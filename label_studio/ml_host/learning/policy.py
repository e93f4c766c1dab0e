"""When a training begins by itself: a decision on counted labels, without a look at the database."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from label_studio.ml_host.learning.counts import Standing
from label_studio.ml_host.learning.settings import LearningSettings


def due(
    settings: LearningSettings, standing: Standing, now: datetime, zone: ZoneInfo, since: datetime | None = None
) -> str | None:
    """What lets a training begin now, as a few words; None when nothing does.

    Args:
        settings: When the backend learns.
        standing: The labels as counted.
        now: The time.
        zone: The server's time zone, for the time of day.
        since: When learning was switched on; a time of day before that does not count.
    """
    if standing.waits or not standing.labels or not standing.changes:
        return None
    if _is_too_soon(settings, standing, now):
        return None
    if settings.after_labels and standing.changes >= settings.after_labels:
        return sentence(standing)
    if settings.growth and (text := _grown(settings, standing)):
        return text
    if settings.at and _has_struck(settings.at, _latest(standing.since, since), now, zone):
        return f'daily at {settings.at}'
    return None


def sentence(standing: Standing) -> str:
    """What changed: ``10 new labels`` or ``8 new, 1 changed and 1 deleted labels``."""
    counted = ((standing.new, 'new'), (standing.changed, 'changed'), (standing.deleted, 'deleted'))
    parts = [f'{number} {what}' for number, what in counted if number]
    *first, last = parts
    text = f'{", ".join(first)} and {last}' if first else last
    return f'{text} label{"" if standing.changes == 1 else "s"}'


def _is_too_soon(settings: LearningSettings, standing: Standing, now: datetime) -> bool:
    return standing.began_at is not None and now - standing.began_at < timedelta(minutes=settings.every_minutes)


def _grown(settings: LearningSettings, standing: Standing) -> str:
    more = standing.labels - standing.before
    if more <= 0 or more < settings.growth * standing.before:
        return ''
    return f'labels grew by {100 * more // standing.before} %' if standing.before else sentence(standing)


def _has_struck(at: str, since: datetime | None, now: datetime, zone: ZoneInfo) -> bool:
    """Whether the time of day has come since then."""
    here = now.astimezone(zone)
    hour, minute = (int(part) for part in at.split(':'))
    latest = datetime.combine(here.date(), time(hour, minute), zone)
    if latest > here:
        latest = datetime.combine(here.date() - timedelta(days=1), time(hour, minute), zone)
    return since is None or since < latest


def _latest(*times: datetime | None) -> datetime | None:
    return max((one for one in times if one is not None), default=None)
