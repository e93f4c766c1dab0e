from django.db import models


class Never(models.Model):
    text = models.TextField()
