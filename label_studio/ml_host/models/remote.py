"""Projects of other Label Studios whose models run here."""

from typing import ClassVar

from django.conf import settings
from django.db import models


class RemoteProject(models.Model):
    """A project of another Label Studio that uses a plugin of this server as its HTTP ML backend.

    It has a project of this server for a shadow: what the other one labels is kept there, and training, versions and
    everything else work on that as on any project.
    """

    organization = models.ForeignKey('organizations.Organization', on_delete=models.CASCADE, related_name='+')
    backend = models.CharField(max_length=64, help_text='Name of the plugin.')
    number = models.PositiveBigIntegerField(help_text='Number of the project in the other Label Studio.')
    stamp = models.PositiveBigIntegerField(
        help_text='When it was made there, in seconds since 1970; it tells projects of two servers apart.'
    )
    hostname = models.CharField(max_length=512, default='', blank=True, help_text='Address of the other Label Studio.')
    access_token = models.TextField(default='', blank=True, help_text='Its token, to fetch tasks and files.')
    project = models.OneToOneField(
        'projects.Project', on_delete=models.CASCADE, related_name='remote_project', help_text='The shadow.'
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name='+')
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text='When it last called.')
    fetched_at = models.DateTimeField(null=True, blank=True, help_text='When its tasks were last fetched.')

    class Meta:
        ordering: ClassVar = ['-id']
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=['organization', 'backend', 'number', 'stamp'], name='ml_host_one_remote_project'
            )
        ]

    def __str__(self) -> str:
        return f'project {self.number} of {self.hostname or "another Label Studio"}'
