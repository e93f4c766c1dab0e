"""Cut a run into shards, so that many workers can share it."""

from __future__ import annotations

from collections.abc import Iterator

from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.prelabeling.selection import unpack


def split(run: PrelabelRun, size: int) -> None:
    """Cut what is left of a run into ranges of about `size` tasks; those that are being worked on stay as they are."""
    for shard in list(PrelabelShard.objects.filter(run=run, ended=False, owner='')):
        lasts = list(_lasts(run, shard, size))
        if len(lasts) < 2:
            continue
        first, *others = zip([shard.cursor + 1, *(last + 1 for last in lasts[:-1])], lasts, strict=True)
        unchanged = PrelabelShard.objects.filter(pk=shard.pk, owner='', cursor=shard.cursor, ended=False)
        if unchanged.update(last_id=first[1]):
            PrelabelShard.objects.bulk_create(
                PrelabelShard(run=run, first_id=start, last_id=last, cursor=start - 1) for start, last in others
            )


def _lasts(run: PrelabelRun, shard: PrelabelShard, size: int) -> Iterator[int]:
    """The last task number of each range."""
    ends = _selected_ends(run, shard, size) if run.selection is not None else _stored_ends(run, shard, size)
    for last in ends:
        if last >= shard.last_id:
            break
        yield last
    yield shard.last_id


def _selected_ends(run: PrelabelRun, shard: PrelabelShard, size: int) -> Iterator[int]:
    left = [number for number in unpack(run.selection) if number > shard.cursor]
    yield from left[size - 1 :: size]


def _stored_ends(run: PrelabelRun, shard: PrelabelShard, size: int) -> Iterator[int]:
    from label_studio.ml_host.upstream import Task

    tasks = Task.objects.filter(project_id=run.project_id).order_by('id')
    last = shard.cursor
    while found := tasks.filter(id__gt=last).values_list('id', flat=True)[size - 1 : size]:
        last = found[0]
        yield last
