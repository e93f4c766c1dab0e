"""Turn a task's fields into text and pictures; where the bytes come from is the host's business."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ml_plugins.exceptions import TaskDataError
from ml_plugins.types import Task, TaskFiles

if TYPE_CHECKING:
    from PIL.Image import Image

# Largest picture that is decoded, in pixels; a host may lower or raise it.
max_image_pixels = 100_000_000
_REFERENCES = ('http://', 'https://', '/data/', 's3://', 'gs://', 'azure-blob://', 'redis://', '/tasks/')


def files_of(task: Task, key: str) -> TaskFiles:
    """The task's resolver, once it is clear that the field holds something. Raises `TaskDataError`."""
    value = task.data.get(key)
    if value is None or value == '':
        present = ', '.join(sorted(task.data)) or 'nothing'
        raise TaskDataError(task.id, key, f'is missing; the task has {present}')
    if task.files is None:
        raise TaskDataError(task.id, key, 'cannot be read: this task has no access to files')
    return task.files


def is_reference(value: str) -> bool:
    """Whether a field's value points at a file instead of being the text itself."""
    return value.startswith(_REFERENCES)


def text_of(task: Task, key: str) -> str:
    """See `Task.text`."""
    value = task.data.get(key)
    if isinstance(value, str) and value and not is_reference(value):
        return value
    if value is not None and not isinstance(value, str):
        return str(value)
    content = files_of(task, key).read(task, key)
    try:
        return content.decode('utf-8')
    except UnicodeDecodeError as error:
        raise TaskDataError(task.id, key, f'is not UTF-8 text: {error}') from error


def image_of(task: Task, key: str) -> Image:
    """See `Task.image`."""
    from PIL import Image as PILImage
    from PIL import ImageOps

    content = files_of(task, key).read(task, key)
    try:
        picture = PILImage.open(io.BytesIO(content))
    except Exception as error:
        start = content[:60].decode('latin-1').strip().splitlines()
        looks = ' (it starts like a web page)' if start and start[0].lstrip().startswith('<') else ''
        raise TaskDataError(task.id, key, f'is not a picture that can be read{looks}') from error
    width, height = picture.size
    if width * height > max_image_pixels:
        limit = max_image_pixels / 1e6
        raise TaskDataError(
            task.id, key, f'has {width}x{height} pixels, {width * height / 1e6:.0f} million; the limit is {limit:.0f}'
        )
    try:
        return ImageOps.exif_transpose(picture).convert('RGB')
    except Exception as error:
        raise TaskDataError(task.id, key, f'is a damaged picture: {error}') from error
