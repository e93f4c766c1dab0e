"""Training runs."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from label_studio.ml_host.models.versions import DatasetSnapshot, ModelVersion


class TrainingRun(models.Model):
    """One training, from the press of the button to a version in service or a reason why not."""

    class State(models.TextChoices):
        """Where a run stands."""

        QUEUED = 'queued', 'Queued'
        RUNNING = 'running', 'Running'
        FINISHED = 'finished', 'Finished'
        FAILED = 'failed', 'Failed'
        CANCELLED = 'cancelled', 'Cancelled'

    ENDED = (State.FINISHED, State.FAILED, State.CANCELLED)

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='training_runs')
    backend = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name='+')
    trigger = models.CharField(max_length=128, default='', blank=True, help_text='What led to it; empty: a person.')
    seed = models.PositiveIntegerField(default=0, help_text='Seed of every random generator.')
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.SET_NULL, null=True, blank=True, related_name='runs')
    repeats = models.ForeignKey(
        ModelVersion,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name='+',
        help_text='Train this version again, from the annotations of its snapshot.',
    )
    params = models.JSONField(default=dict)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    metrics = models.JSONField(default=dict)
    skipped = models.JSONField(default=list, help_text='Tasks that could not be used: [{"task": 1, "reason": "…"}].')
    error = models.TextField(default='', blank=True, help_text='Why the run failed, in a sentence.')
    traceback = models.TextField(default='', blank=True)
    cancel_requested = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=128, default='', blank=True)
    version = models.OneToOneField(
        ModelVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name='training_run'
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ['-id']
        constraints: ClassVar = [
            # Requests coalesce: one waiting and one running, however many people press the button.
            models.UniqueConstraint(
                fields=['project', 'backend'], condition=Q(state='queued'), name='ml_host_one_queued_run'
            ),
            models.UniqueConstraint(
                fields=['project', 'backend'], condition=Q(state='running'), name='ml_host_one_running_run'
            ),
        ]

    def __str__(self) -> str:
        return f'training run {self.pk} of {self.backend}'

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in self.ENDED

    @property
    def percent(self) -> int:
        """Progress in percent."""
        if self.state == self.State.FINISHED:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0
