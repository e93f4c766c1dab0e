"""What people label next: the plan of a project, the scores of its tasks and the queue that is served.

No row refers to a task by a foreign key: upstream deletes tasks in ways that pass Django's cascade by, and a row about
a task that is gone is passed over when it comes up.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


class SamplingPlan(models.Model):
    """How the next task of a project is chosen, while active learning is on."""

    project = models.OneToOneField('projects.Project', on_delete=models.CASCADE, related_name='sampling_plan')
    backend = models.CharField(max_length=64, help_text='Plugin whose answers are used.')
    enabled = models.BooleanField(default=False)
    strategy = models.CharField(max_length=64, default='automatic', help_text='Name of the query strategy.')
    params = models.JSONField(default=dict, blank=True, help_text='Parameters of the strategy; others are defaults.')
    explore = models.FloatField(default=0.05, help_text='Share of tasks that are drawn at random, 0..1.')
    batch = models.PositiveIntegerField(default=50, help_text='Tasks that are chosen ahead.')
    seed = models.PositiveIntegerField(default=0, help_text='Seed of every choice.')
    stop = models.JSONField(null=True, blank=True, help_text='Stopping criteria with parameters; null: the usual ones.')
    instead = models.CharField(
        max_length=64,
        default='',
        blank=True,
        help_text="Strategy that chooses while the plan's own does worse than it.",
    )
    judged_from = models.DateTimeField(
        null=True, blank=True, help_text='Tasks that were served before say nothing about the strategy; null: all do.'
    )
    epoch = models.PositiveIntegerField(default=0, help_text='How often tasks were chosen; part of the seed.')
    fallback = models.TextField(default='', blank=True, help_text='Why the strategy does not choose; empty: it does.')
    explanation = models.TextField(default='', blank=True, help_text='How the latest batch came about, in a sentence.')
    scored_version = models.CharField(max_length=96, default='', blank=True, help_text='Version of the scores.')
    scored_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=128, default='', blank=True, help_text='Process that chooses now.')
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # Whether second opinions may be wanted; known for sure where the plan was read to serve a task.
    asks_again = True

    def __str__(self) -> str:
        return f'{self.strategy} with {self.backend} on project {self.project_id}'

    @property
    def chooses(self) -> tuple[str, dict]:
        """Strategy and parameters that tasks are chosen by now."""
        return (self.instead, {}) if self.instead else (self.strategy, self.params)


class SamplingFindings(models.Model):
    """Whether a plan is worth it: what was computed in the background, and from what."""

    plan = models.OneToOneField(SamplingPlan, on_delete=models.CASCADE, related_name='findings', primary_key=True)
    report = models.JSONField(default=dict, help_text='Curves, labels saved, forecast and advice; empty: none yet.')
    error = models.TextField(default='', blank=True, help_text='Why the latest could not be computed; empty: it was.')
    labels = models.PositiveIntegerField(default=0, help_text='Labeled tasks then.')
    newest_annotation = models.PositiveBigIntegerField(default=0, help_text='Highest annotation number then.')
    basis = models.CharField(max_length=255, default='', blank=True, help_text='Versions and settings it rests on.')
    computed_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text='When somebody asked for new ones; null: nobody.')
    fell_back_at = models.DateTimeField(null=True, blank=True, help_text='When another strategy took over.')
    fell_back_labels = models.PositiveIntegerField(default=0, help_text='Labeled tasks when it did.')
    fell_back_why = models.TextField(default='', blank=True)
    worker = models.CharField(max_length=128, default='', blank=True, help_text='Process that computes now.')
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f'findings about {self.plan}'


class TaskScore(models.Model):
    """How useful the label of a task would be, as a version of the model and a strategy saw it."""

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+', db_index=False)
    task_id = models.BigIntegerField()
    score = models.FloatField(help_text='The highest is labeled first.')
    rank = models.PositiveIntegerField(help_text='Place among all scores of the time; 1 is the best.')
    version = models.CharField(max_length=96, help_text='Name of the version in predictions.')
    strategy = models.CharField(max_length=64)
    scored_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=['project', 'task_id'], name='ml_host_one_score_a_task')
        ]
        indexes: ClassVar = [models.Index(fields=['project', '-score', 'task_id'], name='ml_host_best_scores')]

    def __str__(self) -> str:
        return f'{self.score:.4g} for task {self.task_id}'


class SampledTask(models.Model):
    """A task that was chosen: first it waits to be served, then it is the record of that."""

    class Source(models.TextChoices):
        """Where a served task came from."""

        QUEUE = 'queue', 'Chosen by the strategy'
        SCORE = 'score', 'Best score'
        RANDOM = 'random', 'At random'
        BEGUN = 'begun', 'In progress'
        GROUND_TRUTH = 'ground_truth', 'Ground truth'
        POSTPONED = 'postponed', 'Postponed before'
        SKIPPED = 'skipped', 'Skipped before'
        SECOND_OPINION = 'second_opinion', 'Second opinion'

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+', db_index=False)
    position = models.PositiveBigIntegerField(help_text='The lowest is served first.')
    task_id = models.BigIntegerField()
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.QUEUE)
    score = models.FloatField(null=True, blank=True, help_text='Null: it has none, or was not chosen by it.')
    rank = models.PositiveIntegerField(null=True, blank=True, help_text='Among all scores of then; 1 is the best.')
    strategy = models.CharField(max_length=64)
    version = models.CharField(max_length=96, default='', blank=True)
    propensity = models.FloatField(null=True, blank=True, help_text='How likely it was to be chosen in this way.')
    explored = models.BooleanField(default=False, help_text='Drawn at random from all tasks that were left.')
    batch = models.PositiveIntegerField(default=0, help_text='Epoch of the plan that chose it.')
    seed = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    served_at = models.DateTimeField(null=True, blank=True, help_text='Null: it waits.')
    served_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name='+'
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=['project', 'task_id'], condition=Q(served_at=None), name='ml_host_task_waits_once'
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=['project', 'position'], condition=Q(served_at=None), name='ml_host_waiting_tasks'),
            models.Index(fields=['project', 'served_at'], name='ml_host_served_tasks'),
        ]

    def __str__(self) -> str:
        return f'task {self.task_id}, number {self.position} of project {self.project_id}'
