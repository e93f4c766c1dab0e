"""Looks for label errors, and what people said of the labels that were suspected."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from label_studio.ml_host.models.analysis import Analysis


class LabelErrorRun(Analysis):
    """One look for label errors; ``result`` holds what `label_studio.ml_host.label_errors.result.Found` reads."""

    class Meta(Analysis.Meta):
        verbose_name = 'look for label errors'


class LabelReview(models.Model):
    """What a person decided about a suspected label; it holds as long as the annotation gives that label.

    Neither the task nor the annotation is a foreign key: upstream deletes both in ways that pass Django's cascade by.
    """

    class Verdict(models.TextChoices):
        """What was decided."""

        RIGHT = 'right', 'Looks right'
        SECOND_OPINION = 'second_opinion', 'Second opinion'

    project = models.ForeignKey('projects.Project', on_delete=models.CASCADE, related_name='+', db_index=False)
    task_id = models.BigIntegerField()
    annotation_id = models.BigIntegerField()
    control = models.CharField(max_length=256, help_text='Name of the control in the label config.')
    given = models.TextField(help_text='The label that the annotation gave then.')
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name='+')
    created_at = models.DateTimeField(auto_now_add=True)
    overlap_before = models.PositiveIntegerField(
        null=True, blank=True, help_text='Overlap of the task before it was raised for the second opinion.'
    )
    closed_at = models.DateTimeField(
        null=True, blank=True, help_text='When the second opinion was there, or could not be had any more.'
    )

    class Meta:
        ordering: ClassVar = ['id']
        constraints: ClassVar = [
            models.UniqueConstraint(fields=['project', 'annotation_id', 'control'], name='ml_host_one_review_a_label')
        ]
        indexes: ClassVar = [
            models.Index(
                fields=['project', 'id'],
                condition=Q(verdict='second_opinion', closed_at=None),
                name='ml_host_second_opinions',
            )
        ]

    def __str__(self) -> str:
        return f'{self.get_verdict_display()}: annotation {self.annotation_id}'
