import numpy as np
import pytest
from PIL import Image

from ml_plugins.contrib.object_detector.backend import ObjectDetector
from ml_plugins.contrib.object_detector.measure import overlaps
from ml_plugins.contrib.object_detector.networks import Found, Network, build
from ml_plugins.contrib.object_detector.photos import collect, served_control
from ml_plugins.exceptions import (
    LabelConfigError,
    ModelVersionError,
    ParameterError,
    TrainingCancelledError,
    TrainingError,
)
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing import BackendContract, MemoryDataset, MemoryRun, example_of
from ml_plugins.types import Prediction, TaskFailure

from .conftest import CONFIG, SIZE, backend, box, content, examples, picture, task


class TestContract(BackendContract):
    backend_class = ObjectDetector
    label_config = CONFIG
    params = {'epochs': 1, 'minimum_score': 0.01}

    def tasks(self):
        return [task(1, content(picture('disc', 20, 30))), task(2, content(picture('square', 90, 30)))]

    def examples(self):
        return examples(3, held_out=1)


def best(prediction: Prediction) -> tuple[str, np.ndarray]:
    """Label and corners, in pixels, of the surest box."""
    region = max(prediction.regions, key=lambda item: item.score)
    value = region.value
    corners = np.array([value['x'], value['y'], value['x'] + value['width'], value['y'] + value['height']])
    return value['rectanglelabels'][0], corners / 100 * (SIZE * 2)


def overlap(corners, left, top, side=56) -> float:
    return overlaps(corners[None], np.array([[left, top, left + side, top + side]], float))[0, 0]


def test_it_learns_to_box(trained):
    run, metrics = trained
    assert (metrics['train_size'], metrics['held_out_size'], metrics['boxes']) == (12, 4, 12)
    assert metrics['map50'] > 0.5
    assert run.reports[-1][0] == run.reports[-1][1]
    made = backend(run, minimum_score=0.05)
    for label, left, top in (('disc', 70, 40), ('square', 110, 20)):
        (found,) = made.predict([task(50, content(picture(label, left, top)))])
        made.label_config.check(found)
        name, corners = best(found)
        assert name == label and overlap(corners, left, top) > 0.5
        assert found.embedding.shape == (96,)
        assert found.score == min(region.score for region in found.regions)


def test_rotated_by_exif(trained):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture('square', 110, 20).transpose(Image.Transpose.ROTATE_90)
    (found,) = backend(trained[0], minimum_score=0.05).predict(
        [task(50, content(turned, 'JPEG', exif=exif, quality=95))]
    )
    assert found.regions[0].extra['original_width'] == SIZE[0]
    assert overlap(best(found)[1], 110, 20) > 0.5


def test_an_unreadable_picture_fails_alone(trained):
    good = task(2, content(picture('disc', 20, 30)))
    cut = content(picture('disc', 20, 30), 'JPEG')
    missing, damaged, fine = backend(trained[0]).predict([task(1, b''), task(3, cut[: len(cut) // 2]), good])
    assert isinstance(missing, TaskFailure) and missing.task_id == 1
    assert isinstance(damaged, TaskFailure) and 'damaged' in damaged.reason
    assert isinstance(fine, Prediction)


def test_a_label_that_left_the_label_config(trained):
    without = CONFIG.replace('<Label value="square"/>', '')
    made = backend(trained[0], without, minimum_score=0.01)
    (found,) = made.predict([task(1, content(picture('square', 90, 30)))])
    made.label_config.check(found)
    assert {region.value['rectanglelabels'][0] for region in found.regions} <= {'disc'}


def test_a_picture_of_one_pixel(trained):
    (found,) = backend(trained[0]).predict([task(1, content(Image.new('RGB', (1, 1))))])
    assert isinstance(found, Prediction)


def test_before_the_first_training():
    assert list(backend().predict([task(1, b'')])) == [None]


def test_boxes_that_can_be_learned_from():
    regions = [
        box('disc', -20, -10, 60, 40), box('disc', 190, 100, 90, 90), box('disc', 300, 10, 20, 20),
        box('disc', 10, 10, 0, 30), box('comet', 10, 10, 30, 30), box('disc', 10, 10, 30, 30, control='other'),
        box('square', 100, 50, 40, 20, rotation=90), {'from_name': 'box', 'type': 'relation'},
    ]  # fmt: skip
    control = served_control(parse_label_config(CONFIG))
    (photo,) = collect([example_of(task(1, b''), regions)], control)
    assert photo.labels == ('disc', 'disc', 'square')
    pixels = photo.boxes * (SIZE * 2)
    assert np.allclose(pixels, [[0, 0, 40, 30], [190, 100, 200, 120], [80, 50, 100, 90]])


def test_nothing_to_learn_from(tmp_path):
    nothing = [example_of(task(1, b''), []), example_of(task(2, b''), [box('disc', 300, 10, 20, 20)])]
    with pytest.raises(TrainingError, match='No picture has a box of "box"'):
        backend().fit(MemoryDataset(nothing), MemoryRun(tmp_path / 'run'))


def test_pictures_that_cannot_be_read_are_skipped(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    bad = example_of(task(90, b''), [box('disc', 10, 10, 30, 30)])
    backend(epochs=2).fit(MemoryDataset([*examples(2), bad]), run)
    assert [number for number, _ in run.skipped] == [90]


def test_none_of_them_can_be_read(tmp_path):
    bad = [example_of(task(number, b''), [box('disc', 10, 10, 30, 30)]) for number in (1, 2)]
    with pytest.raises(TrainingError, match='None of the 2 pictures'):
        backend(epochs=2).fit(MemoryDataset(bad), MemoryRun(tmp_path / 'run'))


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    params = {'epochs': 3, 'batch_size': 2}
    whole, broken = MemoryRun(tmp_path / 'whole'), MemoryRun(tmp_path / 'broken')
    backend(**params).fit(MemoryDataset(examples(4)), whole)
    # After the first report come two batches an epoch; the first epoch is over, and the second one half.
    broken.stop_after = 4
    with pytest.raises(TrainingCancelledError):
        backend(**params).fit(MemoryDataset(examples(4)), broken)
    again = MemoryRun(tmp_path / 'again', checkpoint_directory=broken.checkpoint_directory)
    backend(**params).fit(MemoryDataset(examples(4)), again)
    assert any('training goes on from there' in line for line in again.log_lines)
    files = [(run.directory / 'detector.safetensors').read_bytes() for run in (whole, again)]
    assert files[0] == files[1]


def test_the_whole_network_learns(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    backend(epochs=1, fine_tune=True).fit(MemoryDataset(examples(2)), run)
    frozen = MemoryRun(tmp_path / 'frozen')
    backend(epochs=1).fit(MemoryDataset(examples(2)), frozen)
    sizes = [(item.directory / 'detector.safetensors').stat().st_size for item in (run, frozen)]
    assert sizes[0] > 5 * sizes[1]
    (found,) = backend(run).predict([examples(1)[0].task])
    assert isinstance(found, Prediction)


def test_a_network_of_torchvision_with_weights(tmp_path):
    import torch

    name = 'ssdlite320_mobilenet_v3_large'
    weights = tmp_path / 'weights.pt'
    # As torchvision's file for COCO, made for 90 labels.
    given = build(name, [f'label {number}' for number in range(90)], 'cpu', seed=7)
    torch.save(given.module.state_dict(), weights)
    network = build(name, ('disc',), 'cpu', str(weights))
    first = next(iter(given.module.backbone.state_dict()))
    assert torch.equal(network.module.backbone.state_dict()[first], given.module.backbone.state_dict()[first])

    run = MemoryRun(tmp_path / 'run')
    backend(network=name, weights=str(weights), epochs=1).fit(MemoryDataset(examples(2)), run)
    (found,) = backend(run, minimum_score=0.01).predict([examples(1)[0].task])
    assert isinstance(found, Prediction)


def test_weights_of_another_network(tmp_path):
    import torch

    path = tmp_path / 'weights.pt'
    torch.save({'layer.weight': torch.zeros(3)}, path)
    with pytest.raises(ParameterError, match=r'parameter "weights": .* does not fit efficientnet_lite0'):
        build('efficientnet_lite0', ('disc',), 'cpu', str(path))
    with pytest.raises(TrainingError, match='parameter "weights": there is no file'):
        backend(weights='/nowhere.pt').fit(MemoryDataset(examples(2)), MemoryRun(tmp_path / 'run'))


def test_an_unknown_network():
    with pytest.raises(ParameterError, match=r'there is no "yolo"; there are efficientnet_lite0, .*retinanet_resnet50'):
        backend(network='yolo')


def test_damaged_files(trained, tmp_path):
    run, _ = trained
    for name in ('config.json', 'detector.safetensors'):
        copy = MemoryRun(tmp_path / name)
        for path in run.directory.iterdir():
            content_of = path.read_bytes()
            (copy.directory / path.name).write_bytes(content_of[:40] if path.name == name else content_of)
        with pytest.raises(ModelVersionError, match='cannot be loaded'):
            backend(copy)


def test_a_label_config_without_labels():
    xml = '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image"/></View>'
    with pytest.raises(LabelConfigError, match='<RectangleLabels> with their <Label>'):
        ObjectDetector.check(parse_label_config(xml))


def test_the_same_run_gives_the_same_network():
    first, second = (build('efficientnet_lite0', ('disc',), 'cpu', seed=3) for _ in range(2))
    assert isinstance(first, Network)
    ours, theirs = first.module.head.state_dict(), second.module.head.state_dict()
    assert all((ours[name] == theirs[name]).all() for name in ours)


def test_an_object_gets_one_label(trained):
    made = backend(trained[0], minimum_score=0.05)
    boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.52, 0.5], [0.3, 0.1, 0.7, 0.5]])
    found = made._prediction(Found(boxes, np.array([0, 1, 1]), np.array([0.9, 0.8, 0.7]), np.zeros(96)), SIZE)
    assert [(r.value['rectanglelabels'], r.score) for r in found.regions] == [(['disc'], 0.9), (['square'], 0.7)]
