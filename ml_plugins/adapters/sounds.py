"""Sounds as pipelines take them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

from ml_plugins.exceptions import TaskDataError
from ml_plugins.types import Task

_KINDS = {1: np.uint8, 2: np.int16, 4: np.int32}


def read_sound(task: Task, key: str, path: Path) -> Any:
    """Samples in -1..1 with their rate; of a file that is not WAV its bytes, which need ffmpeg to be decoded.

    Raises:
        TaskDataError: The file is a damaged WAV, or empty.
    """
    content = path.read_bytes()
    if not content:
        raise TaskDataError(task.id, key, 'is empty: there are no bytes where a sound should be')
    if content[:4] != b'RIFF' or content[8:12] != b'WAVE':
        return content
    try:
        with wave.open(str(path)) as sound:
            width, rate, channels = sound.getsampwidth(), sound.getframerate(), sound.getnchannels()
            samples = np.frombuffer(sound.readframes(sound.getnframes()), _KINDS[width])
    except (wave.Error, EOFError, KeyError, ValueError) as error:
        raise TaskDataError(task.id, key, f'is not a WAV file that can be read: {error}') from error
    if not len(samples):
        raise TaskDataError(task.id, key, 'is a sound without a sample')
    middle, largest = (128, 128) if width == 1 else (0, 2 ** (8 * width - 1))
    scaled = (samples.astype(np.float32) - middle) / largest
    return {'raw': scaled.reshape(-1, channels).mean(axis=1), 'sampling_rate': rate}
