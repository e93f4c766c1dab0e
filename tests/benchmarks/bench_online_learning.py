"""Learning while people label, measured.

    python tests/benchmarks/bench_online_learning.py [retrain]

Without arguments every part runs. `LABEL_STUDIO_TEST_DATABASE=postgresql` takes a PostgreSQL of its own.

- retrain: `image_classifier` on 5,000 labeled photos, from nothing, and then again after 10 more were labeled; each is
  a whole run of a real worker, from the moment it is taken until its version is in service, held-out photos measured.
  The photos are Tux Paint's cut-outs, turned, mirrored and cut, on backgrounds of different grey. Asked: at least 10
  times quicker. `BENCH_PHOTOS` sets another number.
"""

import io
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.benchmarks.bench_prelabel import make_owner, make_project, prepare

PARTS = ('retrain',)
PHOTOS = int(os.environ.get('BENCH_PHOTOS', 5000))
MORE = 10
ASKED_RATIO = 10


def variant(photo: bytes, seed: int) -> bytes:
    """The photo turned, mirrored, cut and on another grey, so that no two are equal."""
    from PIL import Image

    chance = random.Random(seed)
    with Image.open(io.BytesIO(photo)) as source:
        picture = source.convert('RGB')
    grey = chance.randrange(200, 256)
    picture = picture.rotate(chance.uniform(-15, 15), expand=True, fillcolor=(grey, grey, grey))
    if chance.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    width, height = picture.size
    cut = [chance.uniform(0, 0.08) for _ in range(4)]
    picture = picture.crop((cut[0] * width, cut[1] * height, (1 - cut[2]) * width, (1 - cut[3]) * height))
    picture.thumbnail((320, 320))
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG', quality=85)
    return buffer.getvalue()


def retrain(user) -> None:
    from tests.assets import tuxpaint

    try:
        photos = tuxpaint.photos()
    except tuxpaint.AssetsMissingError as error:
        print(f'retrain: absent: {error}')
        return
    choices = ''.join(f'<Choice value="{label}"/>' for label in tuxpaint.CLASSES)
    config = (
        f'<View><Image name="image" value="$image"/><Choices name="class" toName="image">{choices}</Choices></View>'
    )
    project = make_project(user, config, [], 'image_classifier')
    random.Random(0).shuffle(photos)
    add_photos(project, user, photos, 0, PHOTOS)
    cold = train(project, user)
    add_photos(project, user, photos, PHOTOS, MORE)
    warm = train(project, user)
    for name, run, count in (('nothing', cold, PHOTOS), (f'{MORE} more labels', warm, PHOTOS + MORE)):
        version = run.version
        print(
            f'{count} photos, after {name}: {seconds(run):.1f} s; agreement {version.score:.3f} on '
            f'{version.scored_on} held-out photos; {version.reason}'
        )
    ratio = seconds(cold) / seconds(warm)
    print(f'retraining is {ratio:.1f} times quicker than training from nothing; asked {ASKED_RATIO}')


def add_photos(project, user, photos, first: int, count: int) -> None:
    from django.conf import settings

    from label_studio.ml_host.upstream import Annotation, FileUpload, Task

    folder = Path(settings.MEDIA_ROOT) / 'upload' / str(project.pk)
    folder.mkdir(parents=True, exist_ok=True)
    tasks, labels, uploads = [], [], []
    for number in range(first, first + count):
        photo = photos[number % len(photos)]
        (folder / f'{number}.jpg').write_bytes(variant(photo.png, number))
        name = f'upload/{project.pk}/{number}.jpg'
        uploads.append(FileUpload(user=user, project=project, file=name))
        tasks.append(Task(project=project, data={'image': f'/data/{name}'}))
        labels.append(photo.label)
    FileUpload.objects.bulk_create(uploads, batch_size=500)
    Task.objects.bulk_create(tasks, batch_size=500)
    made = list(Task.objects.filter(project=project).order_by('id'))[first:]
    rows = []
    for task, label in zip(made, labels, strict=True):
        value = {'from_name': 'class', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [label]}}
        rows.append(Annotation(task=task, project=project, completed_by=user, result=[value]))
    Annotation.objects.bulk_create(rows, batch_size=500)


def train(project, user):
    """One run by a worker with a process of its own for it."""
    from label_studio.ml_host.training import runs, worker

    run = runs.request_training(project, 'image_classifier', user)
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert run.state == 'finished', run.error
    return run


def seconds(run) -> float:
    return (run.ended_at - run.started_at).total_seconds()


def main() -> None:
    parts = sys.argv[1:] or PARTS
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f'unknown: {", ".join(sorted(unknown))}; there are {", ".join(PARTS)}')
    prepare()
    from label_studio.ml_host.launcher import redis

    server = redis.start(Path(os.environ['LABEL_STUDIO_BASE_DATA_DIR']) / 'ml' / 'redis')
    point_queues_at(server.socket)
    try:
        user = make_owner()
        for part in parts:
            globals()[part](user)
    finally:
        server.stop()


def point_queues_at(socket: str) -> None:
    from django_rq.settings import QUEUES

    for name in ('ml_train', 'ml_predict', 'ml_analysis'):
        QUEUES[name] = {'UNIX_SOCKET_PATH': str(socket), 'DB': 0, 'DEFAULT_TIMEOUT': 3600}


if __name__ == '__main__':
    main()
