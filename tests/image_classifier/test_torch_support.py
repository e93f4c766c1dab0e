import threading

import pytest

from ml_plugins.exceptions import ParameterError
from ml_plugins.torch_support import import_torchvision, nms, pick_device, use_threads


def plain_nms(boxes, scores, threshold):
    """The definition, box by box."""
    import torch

    kept = []
    for index in torch.sort(scores, stable=True, descending=True).indices.tolist():
        a = boxes[index]
        for other in kept:
            b = boxes[other]
            width = (min(a[2], b[2]) - max(a[0], b[0])).clamp(min=0)
            height = (min(a[3], b[3]) - max(a[1], b[1])).clamp(min=0)
            shared = width * height
            whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
            if shared / whole > threshold:
                break
        else:
            kept.append(index)
    return kept


def boxes(count):
    import torch

    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(count, 2, generator=generator) * 50
    return torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 30], 1)


@pytest.mark.parametrize('threshold', [0.2, 0.5, 0.8])
def test_nms(threshold):
    import torch

    found = boxes(80)
    scores = torch.rand(80, generator=torch.Generator().manual_seed(2))
    assert nms(found, scores, threshold).tolist() == plain_nms(found, scores, threshold)


def test_nms_of_nothing_and_of_one():
    import torch

    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    assert nms(boxes(1), torch.ones(1), 0.5).tolist() == [0]


def test_torchvision_is_imported_once_by_all_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(import_torchvision())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len({id(module) for module in found}) == 1


def test_torchvision_operators_work():
    import torch

    ops = import_torchvision().ops
    scores = torch.linspace(0, 1, 30)
    assert ops.nms(boxes(30), scores, 0.5).tolist() == plain_nms(boxes(30), scores, 0.5)
    assert ops.roi_align(torch.ones(1, 2, 8, 8), torch.tensor([[0.0, 1, 1, 5, 5]]), 3).eq(1).all()


def test_devices():
    import torch

    assert pick_device('cpu') == 'cpu'
    assert pick_device() == ('cuda:0' if torch.cuda.is_available() else 'cpu')
    with pytest.raises(ParameterError, match=r'"cuda:99" is not there; this machine has: cpu'):
        pick_device('cuda:99')


def test_threads():
    import torch

    before = torch.get_num_threads()
    try:
        assert use_threads(most=1) == 1 == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
