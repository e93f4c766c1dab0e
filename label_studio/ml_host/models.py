"""The fork's tables; upstream's own stay as they are."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


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
    connection = models.OneToOneField(
        'ml.MLBackend',
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name='project_backend',
        help_text="Upstream's row that shows the plugin as a connected model.",
    )
    in_service = models.ForeignKey('ModelVersion', on_delete=models.SET_NULL, null=True, blank=True, related_name='+')
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
