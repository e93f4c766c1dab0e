"""Written as the SDK's examples of version 1 are: labels handed to `fit`, a working folder, and `train_output`."""

import json
import os

from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.utils import get_choice, get_single_tag_keys, is_skipped

from utils import favourite


class Votes(LabelStudioMLBase):
    """Says what most people said."""

    def __init__(self, **kwargs):
        super(Votes, self).__init__(**kwargs)
        self.from_name, self.to_name, self.value, self.labels = get_single_tag_keys(
            self.parsed_label_config, 'Choices', 'Text'
        )
        self.label = self.labels[0]
        if self.train_output:
            with open(self.train_output['file']) as file:
                self.label = json.load(file)['label']

    def predict(self, tasks, **kwargs):
        region = {
            'from_name': self.from_name,
            'to_name': self.to_name,
            'type': 'choices',
            'value': {'choices': [self.label]},
        }
        return [{'result': [region], 'score': 0.5} for _ in tasks]

    def fit(self, completions, workdir=None, **kwargs):
        labels = [get_choice(completion) for completion in completions if not is_skipped(completion)]
        path = os.path.join(workdir, 'label.json')
        with open(path, 'w') as file:
            json.dump({'label': favourite(labels)}, file)
        return {'file': path, 'labels': len(labels)}
