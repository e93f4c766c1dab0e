"""What training produced, from what, and how good it is."""

from typing import ClassVar

from django.db import models


class ModelVersion(models.Model):
    """What a training run produced; its files never change once the row exists."""

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='model_versions_trained')
    backend = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    directory = models.TextField(help_text='Folder with the files, relative to the version directory.')
    digest = models.CharField(max_length=64, help_text='SHA-256 of the manifest of the files.')
    size = models.PositiveBigIntegerField(default=0, help_text='Bytes of all files.')
    metrics = models.JSONField(default=dict)
    params = models.JSONField(default=dict)
    trained_on = models.PositiveIntegerField(default=0, help_text='Number of labeled tasks trained on.')
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


def version_label(backend: str, number: int | None) -> str:
    """Name of a version in predictions; a model that needs no training has the number 0."""
    return f'{backend}-v{number or 0}'
