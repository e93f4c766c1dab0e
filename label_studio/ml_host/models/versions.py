"""What training produced, from what, and how good it is."""

from typing import ClassVar

from django.db import models


class DatasetSnapshot(models.Model):
    """Which annotations a training saw: enough to explain its version and to train the same again."""

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+')
    backend = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, help_text='SHA-256 of tasks, annotations, their content and the split.')
    content = models.BinaryField(help_text='Packed task and annotation numbers with a hash of each result.')
    labeled = models.PositiveIntegerField(default=0, help_text='Labeled tasks.')
    held_out = models.PositiveIntegerField(default=0, help_text='Those among them that are only measured on.')
    annotations = models.PositiveIntegerField(default=0, help_text='Submitted annotations.')
    newest_annotation = models.PositiveBigIntegerField(default=0, help_text='Highest annotation number.')
    annotators = models.CharField(max_length=16, help_text='Rule for tasks with several annotators.')
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f'{self.labeled} labeled tasks of project {self.project_id}, {self.digest[:8]}'


class ModelVersion(models.Model):
    """What a training run produced or somebody uploaded; its files never change once the row exists."""

    class State(models.TextChoices):
        """Where a version stands that is not in service."""

        CANDIDATE = 'candidate', 'Candidate'
        ARCHIVED = 'archived', 'Archived'
        FAILED = 'failed', 'Failed'

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='model_versions_trained')
    backend = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    directory = models.TextField(help_text='Folder with the files, relative to the version directory.')
    digest = models.CharField(max_length=64, help_text='SHA-256 of the manifest of the files.')
    size = models.PositiveBigIntegerField(default=0, help_text='Bytes of all files.')
    remote = models.TextField(
        default='',
        blank=True,
        help_text='Folder of the files in the version storage; empty: they are only on the disk.',
    )
    metrics = models.JSONField(default=dict)
    params = models.JSONField(default=dict)
    label_config = models.TextField(default='', blank=True, help_text='Label config that it was trained for.')
    trained_on = models.PositiveIntegerField(default=0, help_text='Number of labeled tasks trained on.')
    state = models.CharField(max_length=16, choices=State.choices, default=State.CANDIDATE)
    reason = models.TextField(default='', blank=True, help_text='Why it went into service or not, in a sentence.')
    trigger = models.CharField(max_length=128, default='', blank=True, help_text='What led to it: "10 new labels".')
    snapshot = models.ForeignKey(
        DatasetSnapshot, on_delete=models.SET_NULL, null=True, blank=True, related_name='versions'
    )
    previous = models.ForeignKey(
        'self', on_delete=models.SET_NULL, null=True, blank=True, related_name='+', help_text='Version it started from.'
    )
    score = models.FloatField(null=True, blank=True, help_text='Mean agreement with the held-out labels, 0..1.')
    score_low = models.FloatField(null=True, blank=True, help_text='Lower end of its 95% interval.')
    score_high = models.FloatField(null=True, blank=True, help_text='Upper end of its 95% interval.')
    scored_on = models.PositiveIntegerField(default=0, help_text='Held-out tasks that it was measured on.')
    served_at = models.DateTimeField(null=True, blank=True, help_text='When it last went into service.')
    live_count = models.PositiveIntegerField(default=0, help_text='Submitted annotations that began with it.')
    live_sum = models.FloatField(default=0.0, help_text='Sum of their agreements with its predictions, each 0..1.')
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=['project', 'backend', 'number'], name='ml_host_version_number')
        ]
        ordering: ClassVar = ['-number']

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name that upstream's ``Prediction.model_version`` carries."""
        return version_label(self.backend, self.number)


class Evaluation(models.Model):
    """What a version answers on the held-out tasks, kept so that versions are compared on the same tasks."""

    version = models.OneToOneField(ModelVersion, on_delete=models.CASCADE, related_name='evaluation')
    content = models.BinaryField(help_text='Compressed JSON: per task the label, the answer and their agreement.')
    created_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f'evaluation of {self.version}'


def version_label(backend: str, number: int | None) -> str:
    """Name of a version in predictions; a model that needs no training has the number 0."""
    return f'{backend}-v{number or 0}'
