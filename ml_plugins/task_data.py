"""Turn a task's fields into text and pictures; where the bytes come from is the host's business."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from ml_plugins.exceptions import TaskDataError
from ml_plugins.types import Task, TaskFiles

if TYPE_CHECKING:
    from PIL.Image import Image

# Largest picture that is decoded, in pixels; a host may lower or raise it.
max_image_pixels = 100_000_000
_REFERENCE = re.compile(
    r'https?://|s3://|gs://|azure-blob://|redis://|/data/|/tasks/|/storage-data/|(/[\w.-]+)?/data/(upload|local-files)/'
    r'|upload/\d+/\S+$|data:[\w.+-]*/?[\w.+-]*(;[\w=.-]+)*;base64,'
)
# A text that begins with a link, as messages do.
_LINK_AND_WORDS = re.compile(r'https?://\S+\s+\S')
_WEB_PAGE = re.compile(rb'\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b', re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(rb'(\xef\xbb\xbf)?\s*<([!?]?[a-z]+)', re.IGNORECASE)
_PICTURE_STARTS = (b'\xff\xd8\xff', b'\x89PNG\r\n', b'GIF8', b'II*\0', b'MM\0*', b'BM')
# Decoding PostScript would start Ghostscript, and metafiles are decoded by the operating system, on a stranger's file.
_REFUSED_FORMATS = frozenset({'EPS', 'WMF'})


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
    return _REFERENCE.match(value) is not None


def without_task(task_id: int | None, reason: str) -> str:
    """A reason without the task's number in front, for places that show the number beside it."""
    return re.sub(rf'^task {task_id}: ', '', reason, flags=re.IGNORECASE)


def text_of(task: Task, key: str) -> str:
    """See `Task.text`."""
    value = task.data.get(key)
    if isinstance(value, str) and value and not (is_reference(value) and not _LINK_AND_WORDS.match(value)):
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
    return decoded(task, key, files_of(task, key).read(task, key))


def decoded(task: Task, key: str, content: bytes) -> Image:
    """The picture that the content of a field is, as `Task.image` gives it; needs no access to files.

    Raises:
        TaskDataError: It is no picture that can be decoded.
    """
    from PIL import ImageOps

    try:
        picture = _open(content)
    except Exception as error:
        raise TaskDataError(task.id, key, _why_no_picture(content)) from error
    width, height = picture.size
    if width * height > max_image_pixels:
        million, limit = width * height / 1e6, max_image_pixels / 1e6
        raise TaskDataError(
            task.id, key, f'has {width}x{height} pixels, {million:.4g} million; the limit is {limit:.4g} million'
        )
    try:
        return ImageOps.exif_transpose(picture).convert('RGB')
    except Exception as error:
        raise TaskDataError(task.id, key, f'is a damaged picture: {error}') from error


def _open(content: bytes) -> Image:
    """The picture with its size read and nothing decoded, however large it says it is."""
    from PIL import Image as PILImage

    PILImage.init()
    allowed = [name for name in PILImage.ID if name not in _REFUSED_FORMATS]
    try:
        return PILImage.open(io.BytesIO(content), formats=allowed)
    except (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning):
        # Pillow's own limit is one global of the process, not ours to change, and its error hides the size. The
        # decoders themselves only read the header; what may be decoded is decided by our caller.
        for name in allowed:
            decoder, accepts = PILImage.OPEN[name]
            if accepts is None or accepts(content[:16]) is True:
                try:
                    return decoder(io.BytesIO(content), '')
                except (SyntaxError, IndexError, TypeError, KeyError, EOFError, ValueError, OSError):
                    continue
        raise


def _why_no_picture(content: bytes) -> str:
    if not content:
        return 'is empty: there are no bytes where a picture should be'
    if _WEB_PAGE.match(content[:2000]):
        return 'is not a picture that can be read: it is a web page (HTML)'
    markup = _MARKUP.match(content[:200])
    if markup:
        kind = 'an SVG drawing' if b'<svg' in content[:2000].lower() else 'a text with markup (XML or HTML)'
        return f'is not a picture that can be read: it is {kind}'
    if content.startswith(_PICTURE_STARTS):
        return 'is a damaged picture: its header cannot be read'
    return f'is not a picture that can be read ({len(content)} bytes of another kind)'
