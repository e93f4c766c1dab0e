"""Bulk pre-labeling runs."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from label_studio.ml_host.models.versions import ModelVersion


class PrelabelRunManager(models.Manager):
    """Leaves the selection in the database: it may be large, and pages have no use for it."""

    def get_queryset(self) -> models.QuerySet:
        """Every run; ``run.selection`` is read when it is asked for."""
        return super().get_queryset().defer('selection')


class PrelabelRun(models.Model):
    """One bulk pre-labeling, from the press of the button until every task has its prediction or a reason why not."""

    class State(models.TextChoices):
        """Where a run stands."""

        QUEUED = 'queued', 'Queued'
        RUNNING = 'running', 'Running'
        FINISHED = 'finished', 'Finished'
        FAILED = 'failed', 'Failed'
        CANCELLED = 'cancelled', 'Cancelled'

    ENDED = (State.FINISHED, State.FAILED, State.CANCELLED)

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='prelabel_runs')
    backend = models.CharField(max_length=64)
    version = models.ForeignKey(
        ModelVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name='+', help_text='Null: untrained.'
    )
    label = models.CharField(max_length=96, help_text='Name of the version in predictions.')
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name='+')
    skip_predicted = models.BooleanField(
        default=False, help_text='Skip tasks with any prediction; those of this very version are always skipped.'
    )
    skip_labeled = models.BooleanField(default=False, help_text='Skip tasks that are labeled.')
    one_by_one = models.BooleanField(default=False, help_text='Predict each task alone, as retries do.')
    refresh = models.BooleanField(default=False, help_text='Begun by a new version: replaces older predictions.')
    selection = models.BinaryField(null=True, help_text='Packed task numbers; null: every task of the project.')
    total = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    error = models.TextField(default='', blank=True, help_text='Why the run failed, in a sentence.')
    note = models.TextField(default='', blank=True, help_text='What the run waits for, in a sentence.')
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text='Start, or the latest resume.')
    done_before = models.PositiveIntegerField(default=0, help_text='Tasks dealt with before the latest resume.')
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = PrelabelRunManager()

    class Meta:
        ordering: ClassVar = ['-id']
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=['project', 'backend'],
                condition=Q(state='running'),
                name='ml_host_one_running_prelabel',
            )
        ]

    def __str__(self) -> str:
        return f'pre-label run {self.pk} of {self.backend}'

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in self.ENDED


class PrelabelShard(models.Model):
    """A range of task numbers of a run; whoever holds its lease works on it."""

    run = models.ForeignKey(PrelabelRun, on_delete=models.CASCADE, related_name='shards')
    first_id = models.PositiveBigIntegerField(help_text='Lowest task number.')
    last_id = models.PositiveBigIntegerField(help_text='Highest task number.')
    cursor = models.PositiveBigIntegerField(default=0, help_text='Highest task number that is dealt with.')
    done = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    ended = models.BooleanField(default=False)
    owner = models.CharField(max_length=128, default='', blank=True, help_text='Process that holds the lease.')
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ['first_id']

    def __str__(self) -> str:
        return f'tasks {self.first_id}-{self.last_id} of {self.run_id}'


class PrelabelFailure(models.Model):
    """A task that a run could not predict."""

    run = models.ForeignKey(PrelabelRun, on_delete=models.CASCADE, related_name='failures')
    # No foreign key: upstream deletes tasks past Django's cascade.
    task_id = models.PositiveBigIntegerField()
    reason = models.TextField()

    class Meta:
        ordering: ClassVar = ['id']

    def __str__(self) -> str:
        return f'task {self.task_id}: {self.reason}'
