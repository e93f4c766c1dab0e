from django.db import models


class HalfRegistered(models.Model):
    text = models.TextField()


raise RuntimeError('broken in models')
