"""Wrap a model that exists: an estimator, a module, a pipeline, a file or a function becomes a backend in a few lines.

Names are resolved on first use, so that importing this package loads no model library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_plugins.adapters.base import Adapter
    from ml_plugins.adapters.function import FunctionBackend
    from ml_plugins.adapters.onnx_file import OnnxBackend
    from ml_plugins.adapters.outputs import Converted, convert
    from ml_plugins.adapters.scikit import SklearnBackend
    from ml_plugins.adapters.serving import serve
    from ml_plugins.adapters.torch_module import TorchBackend
    from ml_plugins.adapters.transformer import TransformersBackend
    from ml_plugins.adapters.values import Answer, Box, Mask, Point, Polygon, Span, TextBox

# Name -> the module of this package that it lives in.
_HOME_OF = {
    'Adapter': 'base',
    'Answer': 'values',
    'Box': 'values',
    'Converted': 'outputs',
    'FunctionBackend': 'function',
    'Mask': 'values',
    'OnnxBackend': 'onnx_file',
    'Point': 'values',
    'Polygon': 'values',
    'SklearnBackend': 'scikit',
    'Span': 'values',
    'TextBox': 'values',
    'TorchBackend': 'torch_module',
    'TransformersBackend': 'transformer',
    'convert': 'outputs',
    'serve': 'serving',
}

__all__ = [
    'Adapter',
    'Answer',
    'Box',
    'Converted',
    'FunctionBackend',
    'Mask',
    'OnnxBackend',
    'Point',
    'Polygon',
    'SklearnBackend',
    'Span',
    'TextBox',
    'TorchBackend',
    'TransformersBackend',
    'convert',
    'serve',
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{home}'), name)
