"""What is worked out from a project's labels in the background: fields that all such runs have."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


class Analysis(models.Model):
    """One run over the labels of a project, from the press of a button to a result or a reason why there is none."""

    class State(models.TextChoices):
        """Where a run stands."""

        QUEUED = 'queued', 'Queued'
        RUNNING = 'running', 'Running'
        FINISHED = 'finished', 'Finished'
        FAILED = 'failed', 'Failed'
        CANCELLED = 'cancelled', 'Cancelled'

    ENDED = (State.FINISHED, State.FAILED, State.CANCELLED)

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+')
    backend = models.CharField(max_length=64, help_text='Plugin whose answers are used.')
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name='+')
    options = models.JSONField(default=dict)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=200, default='', blank=True, help_text='What it does now, or waits for.')
    result = models.JSONField(default=dict, help_text='What was found; of a run that is under way, so far.')
    error = models.TextField(default='', blank=True, help_text='Why the run failed, in a sentence.')
    traceback = models.TextField(default='', blank=True)
    cancel_requested = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=128, default='', blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text='When it began for the first time.')
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering: ClassVar = ['-id']
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=['project', 'backend'],
                condition=Q(state__in=['queued', 'running']),
                name='ml_host_one_open_%(class)s',
            )
        ]

    def __str__(self) -> str:
        return f'{self._meta.verbose_name} {self.pk} of {self.backend}'

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
