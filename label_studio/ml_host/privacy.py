"""Upstream's calls to the outside, answered here."""

from django.http import HttpRequest, JsonResponse


def no_live_tips(request: HttpRequest) -> JsonResponse:
    """Stands before upstream's ``heidi_tips``, which fetches banners from the internet at each page.

    Answers as upstream does without a network; the pages then show the tips they were built with.
    """
    response = JsonResponse({}, status=404)
    # Nobody can act on it, and Django would write it to the terminal with each page.
    response._has_been_logged = True
    return response
