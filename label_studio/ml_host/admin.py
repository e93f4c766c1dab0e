"""Django admin: our tables to look at, and the toggle on upstream's project page."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Sum

from label_studio.ml_host.api import actions
from label_studio.ml_host.models import (
    BackendEvent,
    FailureRecord,
    LabelErrorRun,
    LabelReview,
    ModelVersion,
    PrelabelRun,
    ProjectBackend,
    RemoteProject,
    ReplayRun,
    TrainingRun,
)
from label_studio.ml_host.upstream import Project
from ml_plugins.exceptions import MLPluginError
from ml_plugins.registry import registry


class ReadOnlyAdmin(admin.ModelAdmin):
    """Records that only the server writes."""

    def has_add_permission(self, request, obj=None) -> bool:
        """Nobody adds records by hand."""
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        """Nobody changes them."""
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        """Nor deletes them."""
        return False


def _apply(request, row: ProjectBackend, before: bool) -> None:
    """Switch a row through the service, so that the audit and upstream's row follow; errors become messages."""
    if row.enabled == before:
        return
    try:
        actions.switch(row.project, row.backend, row.enabled, request.user)
    except MLPluginError as error:
        messages.error(request, str(error))


class ToggleForm(forms.ModelForm):
    """The toggle; what is saved goes through the service, not through the form."""

    backend = forms.ChoiceField()

    class Meta:
        model = ProjectBackend
        fields: ClassVar = ['backend', 'enabled']

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = sorted({plugin.name for plugin in registry.all()} | ({self.instance.backend} - {''}))
        self.fields['backend'].choices = [(name, name) for name in names]
        self.fields['backend'].disabled = self.instance.pk is not None


class BackendInline(admin.TabularInline):
    """Plugins of one project on upstream's project page."""

    model = ProjectBackend
    form = ToggleForm
    fields = ('backend', 'enabled', 'in_service')
    readonly_fields = ('in_service',)
    extra = 1
    can_delete = False
    verbose_name = 'ML backend'
    verbose_name_plural = 'ML backends'


class ProjectAdmin(admin.ModelAdmin):
    """Upstream's project page with the toggle."""

    inlines: ClassVar = [BackendInline]

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        """Fields that may be null may be left empty; otherwise most projects could not be saved here at all."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.null:
            field.required = False
        return field

    def save_formset(self, request, form, formset, change: bool) -> None:
        """Switch the rows that were changed instead of saving them."""
        if formset.model is not ProjectBackend:
            super().save_formset(request, form, formset, change)
            return
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
        for entry in formset.forms:
            if entry.has_changed() and entry.cleaned_data:
                row = entry.instance
                row.project = form.instance
                before = bool(entry.initial.get('enabled', False)) if row.pk else False
                _apply(request, row, before)


class ProjectBackendAdmin(admin.ModelAdmin):
    """All rows of all projects, with the toggle."""

    list_display = ('project', 'backend', 'enabled', 'in_service', 'updated_at')
    list_filter = ('backend', 'enabled')
    fields = ('project', 'backend', 'enabled', 'params', 'in_service', 'connection', 'created_at', 'updated_at')
    readonly_fields = ('project', 'backend', 'params', 'in_service', 'connection', 'created_at', 'updated_at')

    def has_add_permission(self, request, obj=None) -> bool:
        """Rows are made by switching a plugin on, on the project's page."""
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        """Rows stay: their versions belong to them."""
        return False

    def save_model(self, request, obj: ProjectBackend, form, change: bool) -> None:
        """Switch through the service."""
        _apply(request, obj, bool(form.initial.get('enabled', False)))


class ModelVersionAdmin(ReadOnlyAdmin):
    """Trained versions."""

    list_display = ('label', 'project', 'trained_on', 'metrics', 'size', 'created_at')
    list_filter = ('backend',)


class TrainingRunAdmin(ReadOnlyAdmin):
    """Training runs."""

    list_display = ('id', 'project', 'backend', 'state', 'created_by', 'created_at', 'ended_at', 'error')
    list_filter = ('backend', 'state')


class PrelabelRunAdmin(ReadOnlyAdmin):
    """Pre-labeling runs."""

    list_display = ('id', 'project', 'label', 'state', 'done', 'total', 'created_by', 'created_at', 'ended_at', 'error')
    list_filter = ('backend', 'state')
    exclude = ('selection',)

    def get_queryset(self, request):
        """Rows without the selection, which may be long."""
        return super().get_queryset(request).defer('selection').annotate(dealt_with=Sum('shards__done'))

    @admin.display(ordering='dealt_with')
    def done(self, run) -> int:
        """Tasks that the model dealt with."""
        return run.dealt_with or 0


class AnalysisAdmin(ReadOnlyAdmin):
    """Replays and looks for label errors; what they found is on the ML backends page."""

    list_display = (
        'id',
        'project',
        'backend',
        'state',
        'done',
        'total',
        'created_by',
        'created_at',
        'ended_at',
        'error',
    )
    list_filter = ('backend', 'state')
    exclude = ('result',)


class LabelReviewAdmin(ReadOnlyAdmin):
    """What people said of suspected labels."""

    list_display = ('id', 'project', 'task_id', 'annotation_id', 'given', 'verdict', 'created_by', 'closed_at')
    list_filter = ('verdict',)


class BackendEventAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ('created_at', 'user', 'action', 'backend', 'project')
    list_filter = ('action', 'backend')


class FailureRecordAdmin(ReadOnlyAdmin):
    """What went wrong in plugins."""

    list_display = ('created_at', 'plugin', 'stage', 'error', 'project')
    list_filter = ('plugin', 'stage')


class RemoteProjectAdmin(ReadOnlyAdmin):
    """Projects of other Label Studios that use plugins of this server."""

    list_display = ('number', 'hostname', 'backend', 'project', 'created_by', 'seen_at', 'fetched_at')
    list_filter = ('backend',)
    # The token is for nobody to read.
    exclude = ('access_token',)


# Upstream registers its projects with the plain page.
admin.site.unregister(Project)
admin.site.register(Project, ProjectAdmin)
admin.site.register(ProjectBackend, ProjectBackendAdmin)
admin.site.register(ModelVersion, ModelVersionAdmin)
admin.site.register(TrainingRun, TrainingRunAdmin)
admin.site.register(PrelabelRun, PrelabelRunAdmin)
admin.site.register([ReplayRun, LabelErrorRun], AnalysisAdmin)
admin.site.register(LabelReview, LabelReviewAdmin)
admin.site.register(BackendEvent, BackendEventAdmin)
admin.site.register(FailureRecord, FailureRecordAdmin)
admin.site.register(RemoteProject, RemoteProjectAdmin)
