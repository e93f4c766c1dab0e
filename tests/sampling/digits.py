"""Digits as a project: a model that gives their pixels as embedding, and people who know what they are."""

from datetime import timedelta

import numpy as np
from django.utils import timezone

from label_studio.ml_host.models import SampledTask
from label_studio.ml_host.sampling import feeding
from ml_plugins import MLBackend, Prediction, Serves

CONFIG = '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{digit}"/>' for digit in range(10))
)


def digits():
    """Pixels and what they show."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.data[:900] / 16).astype(np.float32), found.target[:900]


class DigitsBackend(MLBackend):
    """Knows the pixels, and nothing of what they show."""

    serves = (Serves('Choices', 'Image'),)

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Image')
        return [Prediction([control.choices('1')], 0.5) for _ in tasks]


class People:
    """Who labels a project of digits as it is served.

    Args:
        plan: Its plan.
        owner: Who submits.
    """

    def __init__(self, plan, owner):
        from label_studio.ml_host.upstream import Task

        self.plan, self.owner = plan, owner
        self.features, self.truth = digits()
        made = Task.objects.bulk_create(
            Task(project=plan.project, data={'image': f'/{row}.png'}) for row in range(len(self.truth))
        )
        self.tasks = [task.pk for task in made]
        # What comes later is asked for after this.
        self.at = timezone.now() - timedelta(hours=1)

    def know(self, label='digits-v0', embeddings=True, probabilities=None):
        """The model has answered every task."""
        said = [
            (
                task,
                Prediction(
                    embedding=self.features[row] if embeddings else None,
                    probabilities=None if probabilities is None else {'choice': probabilities[row]},
                ),
            )
            for row, task in enumerate(self.tasks)
        ]
        feeding.keep(self.plan.project_id, label, said)

    def label(self, rows, explored=(), served=True, answer=None):
        """Label some tasks in this order; those of `explored` were served at random."""
        from label_studio.ml_host.upstream import Annotation, Task

        rows, explored = [int(row) for row in rows], {int(row) for row in explored}
        times = [self.at + timedelta(seconds=number) for number, _ in enumerate(rows)]
        self.at = times[-1] + timedelta(seconds=1)
        if served:
            SampledTask.objects.bulk_create(
                SampledTask(
                    project=self.plan.project,
                    position=0,
                    task_id=self.tasks[row],
                    strategy=self.plan.strategy,
                    explored=row in explored,
                    propensity=1 / 2000 if row in explored else 0.9,
                    served_at=at,
                    served_to=self.owner,
                )
                for row, at in zip(rows, times, strict=True)
            )
        Annotation.objects.bulk_create(
            Annotation(
                task_id=self.tasks[row],
                project=self.plan.project,
                completed_by=self.owner,
                result=[_region(str(self.truth[row]) if answer is None else answer)],
            )
            for row in rows
        )
        done = [self.tasks[row] for row in rows]
        Task.objects.filter(pk__in=done).update(is_labeled=True, total_annotations=1)


def _region(label):
    return {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [label]}}
