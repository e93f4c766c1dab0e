"""Values that backends written for the ML backend SDK store with ``set``."""

from typing import ClassVar

from django.db import models


class SdkValue(models.Model):
    """One value of one project and backend; the newest, as every process sees it."""

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+')
    backend = models.CharField(max_length=64)
    key = models.TextField()
    value = models.TextField(blank=True)
    in_training = models.BooleanField(default=False, help_text='Stored by a training; each version has its own.')
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=['project', 'backend', 'key'], name='ml_host_sdk_value')
        ]

    def __str__(self) -> str:
        return f'{self.key} of {self.backend} on project {self.project_id}'
