"""Which files of an uploaded version may be loaded: only formats that hold data, nothing that runs while it is read."""

from __future__ import annotations

import fnmatch
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from label_studio.ml_host.versions.errors import UploadError

# Loaded with pickle or something like it: who made the file says what is run.
PICKLED = frozenset(
    {'.pkl', '.pickle', '.pt', '.pth', '.pt2', '.bin', '.ckpt', '.joblib', '.dill', '.cloudpickle', '.h5', '.keras'}
)
_TEXTS = ('.txt', '.csv', '.tsv', '.md', '.jsonl')
# A JSON file of more than that is only looked at where it begins.
_READ_WHOLE = 64 * 1024**2
_HEAD = 4096
# The old text form of pickle begins by naming what it calls.
_TEXT_PICKLE = re.compile(rb'\(?c[\w.]+\n[\w.]+\n|\((?:lp|dp|ip)\d*\n|\(i[\w.]+\n')


def refuse_unsafe(folder: Path, names: Sequence[str], allowed: Sequence[str]) -> None:
    """Refuse files that are not of a safe format, by their names and by what is in them.

    Args:
        folder: Where they are.
        names: Their names in it.
        allowed: Patterns of further names, which the plugin says that it loads safely.

    Raises:
        UploadError: Names the file and what to do.
    """
    # A single pattern without its tuple would be taken letter by letter, and "*" is one of them.
    allowed = (allowed,) if isinstance(allowed, str) else allowed
    for name in names:
        if any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(Path(name).name, pattern) for pattern in allowed):
            continue
        reason = _why_not(folder / name)
        if reason:
            raise UploadError(
                f'files/{name} {reason}. Save weights as .safetensors and the rest as .json, .npy or text; a plugin '
                'that reads others without running what is in them names them in MLBackend.safe_files.'
            )


def _why_not(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in PICKLED:
        return 'may run code while it is loaded'
    check = _CHECKS.get(suffix)
    if check is None:
        return 'is not of a format that is known to be safe'
    with path.open('rb') as stream:
        if suffix != '.npz' and _is_pickle(stream.read(_HEAD)):
            return 'holds a pickle, which may run code while it is loaded'
        stream.seek(0)
        return '' if check(stream, path.stat().st_size) else f'is not what its name says, {suffix}'


def _is_pickle(head: bytes) -> bool:
    is_binary = len(head) > 1 and head[0] == 0x80 and head[1] in range(2, 6)
    return is_binary or head.startswith(b'PK\x03\x04') or _TEXT_PICKLE.match(head) is not None


def _is_text(stream: BinaryIO, size: int) -> bool:
    while block := stream.read(1 << 20):
        if b'\0' in block:
            return False
    return True


def _is_json(stream: BinaryIO, size: int) -> bool:
    if size > _READ_WHOLE:
        return stream.read(_HEAD).lstrip()[:1] in (b'{', b'[')
    try:
        json.loads(stream.read())
    except ValueError:
        return False
    return True


def _is_safetensors(stream: BinaryIO, size: int) -> bool:
    start = stream.read(8)
    if len(start) < 8:
        return False
    (length,) = struct.unpack('<Q', start)
    return 0 < length <= min(size - 8, 100 * 1024**2) and stream.read(1) == b'{'


def _is_array(stream: BinaryIO, size: int) -> bool:
    """Whether it is a NumPy array of numbers or texts; one of objects is a pickle."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        _shape, _order, kind = read(stream)
    except ValueError:
        return False
    return not kind.hasobject


def _is_arrays(stream: BinaryIO, size: int) -> bool:
    try:
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    if not entry.filename.endswith('.npy') or not _is_array(member, entry.file_size):
                        return False
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        return False
    return True


def _is_onnx(stream: BinaryIO, size: int) -> bool:
    # A protobuf message whose first field is the format's version, a small number.
    return stream.read(1) == b'\x08'


_CHECKS: Mapping[str, Callable[[BinaryIO, int], bool]] = {
    '.safetensors': _is_safetensors,
    '.json': _is_json,
    '.npy': _is_array,
    '.npz': _is_arrays,
    '.onnx': _is_onnx,
    **dict.fromkeys(_TEXTS, _is_text),
}
