"""Written as the SDK's examples of version 2 are: a global model, MODEL_DIR, a client that fetches the labels."""

import logging
import os
import pickle

import label_studio_sdk
from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse
from label_studio_ml.utils import DATA_UNDEFINED_NAME

from utils import Counts, words_of

logger = logging.getLogger(__name__)

_model = None


class WordsClassifier(LabelStudioMLBase):
    """Votes of the words of a text."""

    LABEL_STUDIO_HOST = os.getenv('LABEL_STUDIO_HOST', 'http://localhost:8080')
    LABEL_STUDIO_API_KEY = os.getenv('LABEL_STUDIO_API_KEY')
    MODEL_DIR = os.getenv('MODEL_DIR', '.')

    def setup(self):
        self.set('model_version', f'{self.__class__.__name__}-v0.0.1')

    def get_model(self):
        global _model
        if _model is None:
            path = os.path.join(self.MODEL_DIR, 'model.pkl')
            if os.path.exists(path):
                with open(path, 'rb') as file:
                    _model = pickle.load(file)
            else:
                _model = Counts()
        return _model

    def predict(self, tasks, context=None, **kwargs):
        from_name, to_name, value = self.label_interface.get_first_tag_occurence('Choices', 'Text')
        labels = sorted(self.label_interface.get_tag(from_name).labels)
        predictions = []
        for task in tasks:
            text = self.preload_task_data(task, task['data'].get(value) or task['data'].get(DATA_UNDEFINED_NAME))
            label, score = self.get_model().best(words_of(text), labels)
            if context:
                label = context['result'][0]['value']['choices'][0]
                score = int(self.get('learned_from') or 0) / 100
                self.set('clicked', label)
            region = {'from_name': from_name, 'to_name': to_name, 'type': 'choices', 'value': {'choices': [label]}}
            predictions.append({'result': [region], 'score': score, 'model_version': self.get('model_version')})
        return ModelResponse(predictions=predictions, model_version=self.get('model_version'))

    def fit(self, event, data, **kwargs):
        if event not in ('ANNOTATION_CREATED', 'ANNOTATION_UPDATED', 'START_TRAINING'):
            logger.info('Skip event %s', event)
            return
        client = label_studio_sdk.Client(self.LABEL_STUDIO_HOST, self.LABEL_STUDIO_API_KEY)
        tasks = client.get_project(id=data['annotation']['project']).get_labeled_tasks()
        _, _, value = self.label_interface.get_first_tag_occurence('Choices', 'Text')
        model = Counts()
        for task in tasks:
            for annotation in task['annotations']:
                label = annotation['result'][0]['value']['choices'][0]
                model.learn(words_of(self.preload_task_data(task, task['data'][value])), label)
        with open(os.path.join(self.MODEL_DIR, 'model.pkl'), 'wb') as file:
            pickle.dump(model, file)
        self.set('learned_from', str(len(tasks)))
        logger.info('Learned from %s tasks; clicked was %s', len(tasks), self.get('clicked'))
