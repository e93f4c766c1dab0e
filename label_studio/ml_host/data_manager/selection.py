"""Which tasks a person selected in the Data Manager."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from label_studio.ml_host.prelabeling.choices import ChoiceError


def chosen_tasks(request, project, queryset: QuerySet) -> Iterable[int] | None:
    """Numbers of the selected tasks; None for all of the project, which nobody has to list then.

    Args:
        request: The Data Manager's request, with its filters and its selection, or the tab that has them.
        project: The project.
        queryset: What upstream made of the filters and the selection.

    Raises:
        ChoiceError: The selection is empty; upstream would take that for every task.
    """
    from label_studio.ml_host.upstream import get_prepare_params

    params = get_prepare_params(request, project)
    selected = params.selectedItems
    if selected is not None and not selected.all and not selected.included:
        raise ChoiceError('selectedItems: no task is selected')
    filtered = params.filters is not None and bool(params.filters.items)
    if filtered or (selected is not None and (not selected.all or selected.excluded)):
        return queryset.order_by().values_list('pk', flat=True).iterator()
    return None
