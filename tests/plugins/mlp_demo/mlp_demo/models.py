"""A table of the plugin's own."""

from django.db import models


class DemoNote(models.Model):
    """A remark about a project."""

    project_id = models.PositiveIntegerField(db_index=True)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text
