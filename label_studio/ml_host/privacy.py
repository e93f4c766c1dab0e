"""Upstream's calls to the outside, answered here."""

from django.http import HttpRequest, JsonResponse


def no_live_tips(request: HttpRequest) -> JsonResponse:
    """Stands before upstream's ``heidi_tips``, which fetches banners from the internet at each page.

    Answers as upstream does without a network; the pages then show the tips they were built with.
    """
    return JsonResponse({}, status=404)
