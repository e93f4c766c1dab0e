"""Labeled texts, and folders with backends for the SDK as their authors have them."""

from pathlib import Path

from ml_plugins import Task
from ml_plugins.testing import MemoryDataset, MemoryRun, example_of

BACKENDS = Path(__file__).parent / 'backends'
TEXT_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="bad"/><Choice value="good"/></Choices></View>'
)
CLASS = """
    from label_studio_ml.model import LabelStudioMLBase

    REGION = {'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['good']}}


    class Model(LabelStudioMLBase):
"""


def tasks(*texts):
    return [Task(number, {'text': text}, project_id=1) for number, text in enumerate(texts, start=1)]


def example(number, text, label, held_out=False):
    result = [{'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [label]}}]
    return example_of(Task(number, {'text': text}, project_id=1), result, held_out=held_out)


def trained(backend, directory, examples, previous=None, changes=None):
    """What `fit` leaves, as a version."""
    run = MemoryRun(directory, previous=previous)
    run.returned = backend.fit(MemoryDataset(examples, changes), run)
    return run


def choice(prediction):
    return prediction.regions[0].value['choices'][0]
