"""Plugins of projects, and what happened to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models


class ProjectBackend(models.Model):
    """A plugin switched on, or once switched on, for one project."""

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='plugin_backends')
    backend = models.CharField(max_length=64, help_text='Name of the plugin.')
    enabled = models.BooleanField(default=False)
    awaits_label_config = models.BooleanField(
        default=False, help_text="The server's default backend, to be enabled once the label config can be served."
    )
    params = models.JSONField(default=dict, blank=True, help_text='Parameters that differ from the defaults.')
    prelabel_new = models.BooleanField(default=False, help_text='Pre-label tasks that are imported or synced.')
    prelabel_seen = models.PositiveBigIntegerField(
        default=0, help_text='Highest task number that automatic pre-labeling has dealt with.'
    )
    learns = models.BooleanField(default=False, help_text='Train by itself while people label.')
    learning = models.JSONField(
        default=dict, blank=True, help_text='Settings of online learning that differ from the defaults.'
    )
    agreement_seen = models.PositiveBigIntegerField(
        default=0, help_text='Highest annotation number that was compared with its prediction.'
    )
    connection = models.OneToOneField(
        'ml.MLBackend',
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name='project_backend',
        help_text="Upstream's row that shows the plugin as a connected model.",
    )
    in_service = models.ForeignKey('ModelVersion', on_delete=models.SET_NULL, null=True, blank=True, related_name='+')
    last_version = models.PositiveIntegerField(
        default=0, help_text='Highest version number that was ever given out; a deleted one is not used again.'
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = 'ML backend of a project'
        verbose_name_plural = 'ML backends of projects'
        constraints: ClassVar = [
            models.UniqueConstraint(fields=['project', 'backend'], name='ml_host_one_row_per_backend')
        ]

    def __str__(self) -> str:
        return f'{self.backend} on project {self.project_id}'

    def has_permission(self, user) -> bool:
        """Upstream's object permission: the project's."""
        return self.project.has_permission(user)


class BackendEvent(models.Model):
    """Audit record: who switched, changed or started what."""

    class Action(models.TextChoices):
        """What was done."""

        ENABLED = 'enabled', 'Enabled'
        DISABLED = 'disabled', 'Disabled'
        PARAMS = 'params', 'Parameters changed'
        TRAIN = 'train', 'Training started'
        CANCEL = 'cancel', 'Training cancelled'
        IN_SERVICE = 'in_service', 'Version put in service'
        HELD_BACK = 'held_back', 'Version not put in service'
        ROLLED_BACK = 'rolled_back', 'Rolled back to an earlier version'
        AGREEMENT = 'agreement', 'Agreement with people dropped'
        ARCHIVED = 'archived', 'Version archived'
        UNARCHIVED = 'unarchived', 'Version taken out of the archive'
        DELETED = 'deleted', 'Version deleted'
        UPLOADED = 'uploaded', 'Version uploaded'
        LEARNING = 'learning', 'Learning while labeling changed'
        SAMPLING = 'sampling', 'Active learning changed'
        SAMPLING_FALLBACK = 'sampling_fell', 'Active learning fell back'
        SAMPLING_AGAIN = 'sampling_again', 'Active learning used again'
        RESET = 'reset', 'Circuit breaker reset'
        PRELABEL = 'prelabel', 'Pre-labeling started'
        PRELABEL_CANCEL = 'prelabel_stop', 'Pre-labeling cancelled'
        PRELABEL_NEW = 'prelabel_new', 'Pre-labeling of new tasks switched'

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+')
    backend = models.CharField(max_length=64)
    action = models.CharField(max_length=16, choices=Action.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name='+')
    detail = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ['-id']

    def __str__(self) -> str:
        return f'{self.get_action_display()}: {self.backend} on project {self.project_id}'


class FailureRecord(models.Model):
    """A plugin failure at work, kept so that every process's page can show it."""

    plugin = models.CharField(max_length=64)
    stage = models.CharField(max_length=16)
    error = models.TextField()
    traceback = models.TextField(default='')
    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, null=True, related_name='+')
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ['-id']
        indexes: ClassVar = [models.Index(fields=['plugin', '-id'], name='ml_host_failures')]

    def __str__(self) -> str:
        return f'{self.plugin} ({self.stage}): {self.error}'
