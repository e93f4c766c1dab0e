"""Label configs, pictures and backends that the tests of adapters share."""

import io

import numpy as np
from PIL import Image

from ml_plugins import BackendContext, parse_label_config
from ml_plugins.testing import MemoryFiles

DIGITS = (
    '<View><Image name="image" value="$image"/><Choices name="digit" toName="image">'
    + ''.join(f'<Choice value="{digit}"/>' for digit in range(10))
    + '</Choices></View>'
)
MOOD = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


def on_text(tags):
    return f'<View><Text name="text" value="$text"/>{tags}</View>'


def on_picture(tags):
    return f'<View><Image name="image" value="$image"/>{tags}</View>'


def labels(kind, *names, **attributes):
    written = ''.join(f' {name}="{value}"' for name, value in attributes.items())
    child = 'Choice' if kind == 'Choices' else 'Label'
    inner = ''.join(f'<{child} value="{name}"/>' for name in names)
    to_name = attributes.pop('toName', None) or ('text' if kind == 'Labels' else 'image')
    return f'<{kind} name="{kind.lower()}" toName="{to_name}"{written}>{inner}</{kind}>'


def png(array):
    stream = io.BytesIO()
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(stream, 'PNG')
    return stream.getvalue()


def picture_files(**arrays):
    return MemoryFiles({f'/{name}.png': png(array) for name, array in arrays.items()})


def loaded(backend_class, xml, params=None, version=None):
    """A backend that is set up, as a host does it."""
    backend = backend_class(BackendContext(parse_label_config(xml), params or {}, version))
    backend.setup()
    return backend
