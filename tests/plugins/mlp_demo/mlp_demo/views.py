"""One JSON view."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse

from mlp_demo.models import DemoNote


@login_required
def summary(request: HttpRequest) -> JsonResponse:
    """How many notes there are."""
    return JsonResponse({'plugin': 'demo', 'notes': DemoNote.objects.count()})
