"""The score column: that of the selected plugin's predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Case, FloatField, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When

from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling.on_open import selected_backend
from label_studio.ml_host.prelabeling.store import current_label


def annotate(original: Callable[..., Any], queryset: QuerySet) -> QuerySet:
    """Seam of ``annotate_predictions_score``: the selected plugin's score, by one indexed subquery.

    It is the score of the version in service; of a task that has none of it yet, that of the newest prediction which
    the plugin made.
    """
    project = getattr(queryset, 'project', None)
    row = selected_backend(project) if project is not None else None
    if row is None:
        return original(queryset)
    return queryset.annotate(predictions_score=Subquery(_scores(row), output_field=FloatField()))


def _scores(row: ProjectBackend) -> QuerySet:
    from label_studio.ml_host.upstream import Prediction

    label = current_label(row)
    # The newest version is not always in service: somebody may have gone back to an older one.
    service_first = Case(When(model_version=label, then=Value(0)), default=Value(1), output_field=IntegerField())
    return (
        Prediction.objects.filter(Q(model_version=label) | Q(model_id=row.connection_id), task_id=OuterRef('pk'))
        .order_by(service_first, '-id')
        .values('score')[:1]
    )
