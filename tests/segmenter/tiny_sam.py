"""Two ONNX files shaped as Segment Anything's exporters write them, whose mask is what has a click's colour."""

from pathlib import Path

import numpy as np
import pytest


def write(folder: Path, dimensions: int) -> tuple[str, str]:
    """Write both; the encoder takes normalised (1, 3, 1024, 1024) for 4 dimensions, else bytes (height, width, 3)."""
    onnx = pytest.importorskip('onnx')
    models = {'encoder.onnx': _encoder(onnx, dimensions), 'decoder.onnx': _decoder(onnx)}
    for name, graph in models.items():
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, folder / name)
    return str(folder / 'encoder.onnx'), str(folder / 'decoder.onnx')


def _graph(onnx, name, lines, inputs, outputs, constants):
    nodes = [onnx.helper.make_node(kind, given.split(), [made], **options) for made, kind, given, options in lines]
    floats = onnx.TensorProto.FLOAT
    infos = [
        [onnx.helper.make_tensor_value_info(key, floats, shape) for key, shape in part] for part in (inputs, outputs)
    ]
    tensors = [onnx.numpy_helper.from_array(value, key) for key, value in constants.items()]
    return onnx.helper.make_graph(nodes, name, *infos, tensors)


def _encoder(onnx, dimensions):
    lines = [('image_embeddings', 'AveragePool', 'pixels', {'kernel_shape': [16, 16], 'strides': [16, 16]})]
    if dimensions == 4:
        shape, constants = [1, 3, 1024, 1024], {}
        lines.insert(0, ('pixels', 'Identity', 'input', {}))
    else:
        shape = ['height', 'width', 3]
        constants = {
            'side': np.array([1024, 1024, 3]), 'none': np.zeros(3, np.int64), 'first': np.array([0]),
            'scale': np.array(0.02, np.float32),
        }  # fmt: skip
        lines = [
            ('shape', 'Shape', 'input', {}),
            ('missing', 'Sub', 'side shape', {}),
            ('pads', 'Concat', 'none missing', {'axis': 0}),
            ('filled', 'Pad', 'input pads', {}),
            ('turned', 'Transpose', 'filled', {'perm': [2, 0, 1]}),
            ('batch', 'Unsqueeze', 'turned first', {}),
            ('pixels', 'Mul', 'batch scale', {}),
            *lines,
        ]
    return _graph(onnx, 'encoder', lines, [('input', shape)], [('image_embeddings', [1, 3, 64, 64])], constants)


def _decoder(onnx):
    constants = {
        'zero': np.array(0), 'first': np.array([0]), 'one': np.array(1), 'two': np.array([2]), 'four': np.array([4]),
        'patch': np.array(16, np.float32), 'limit': np.array(1, np.float32), 'ones': np.array([1, 1]),
        'score': np.array([[0.25, 0.9]], np.float32), 'axes': np.array([2, 3]), 'colours': np.array([1]),
        'none': np.array([], np.float32), 'nowhere': np.array(-9, np.float32),
    }  # fmt: skip
    lines = [
        ('point', 'Gather', 'point_coords zero', {'axis': 1}),
        ('cell', 'Div', 'point patch', {}),
        ('whole', 'Cast', 'cell', {'to': 7}),
        ('flat', 'Squeeze', 'whole first', {}),
        ('x', 'Gather', 'flat zero', {}),
        ('y', 'Gather', 'flat one', {}),
        ('row', 'Gather', 'image_embeddings y', {'axis': 2}),
        ('colour', 'Gather', 'row x', {'axis': 2}),
        ('wide', 'Unsqueeze', 'colour axes', {}),
        ('apart', 'Sub', 'image_embeddings wide', {}),
        ('far', 'Abs', 'apart', {}),
        ('sum', 'ReduceSum', 'far colours', {}),
        ('near', 'Sub', 'limit sum', {}),
        ('longest', 'ReduceMax', 'orig_im_size', {'axes': [0]}),
        ('square', 'Concat', 'longest longest', {'axis': 0}),
        ('square_size', 'Cast', 'square', {'to': 7}),
        ('sizes', 'Concat', 'ones square_size', {'axis': 0}),
        ('large', 'Resize', 'near none none sizes', {'mode': 'linear'}),
        ('size', 'Cast', 'orig_im_size', {'to': 7}),
        ('starts', 'Mul', 'axes_zero size', {}),
        ('mask', 'Slice', 'large starts size axes', {}),
        # The first of two masks is worse, and the model says so.
        ('empty', 'Mul', 'mask nowhere', {}),
        ('masks', 'Concat', 'empty mask', {'axis': 1}),
        ('iou_predictions', 'Identity', 'score', {}),
    ]  # fmt: skip
    constants['axes_zero'] = np.array([0, 0])
    inputs = [
        ('image_embeddings', [1, 3, 64, 64]), ('point_coords', [1, 'points', 2]), ('point_labels', [1, 'points']),
        ('mask_input', [1, 1, 256, 256]), ('has_mask_input', [1]), ('orig_im_size', [2]),
    ]  # fmt: skip
    outputs = [('masks', [1, 2, 'height', 'width']), ('iou_predictions', [1, 2])]
    return _graph(onnx, 'decoder', lines, inputs, outputs, constants)
