"""Who calls: a token or a user name with password, in any of the ways that other Label Studios can send them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from label_studio.ml_host.protocol.errors import CredentialsError
from label_studio.ml_host.serving.service.recent import Recent

# A withdrawn token is refused after at most this long, in seconds. Checking a password takes a third of a second of a
# processor, and one opened task makes three calls.
KEPT_SECONDS = 10.0
HOW = (
    'Send the email and password of a user of this server by basic auth, or a token: as the password, with "token" '
    'for the user name, or in the header "Authorization: Token …" or "Bearer …".'
)

_recent: Recent[Any] = Recent(KEPT_SECONDS)
forget = _recent.forget


def caller_of(request: HttpRequest) -> Any:
    """The user who calls.

    Raises:
        CredentialsError: There are no credentials, or they are wrong; says how they are sent.
    """
    header = request.META.get('HTTP_AUTHORIZATION', '')
    if not header:
        raise CredentialsError(f'Credentials are missing. {HOW}')
    # Secrets are not kept in memory for longer than the request.
    key = hashlib.sha256(header.encode()).digest()
    return _recent.get(key, lambda: _checked(_user(header)))


def _user(header: str) -> Any:
    kind, _, value = header.partition(' ')
    kind, value = kind.lower(), value.strip()
    if kind == 'basic':
        name, secret = _pair(value)
        return _of_token(secret) if name == 'token' else authenticate(username=name, password=secret)
    return _of_token(value) if kind in ('token', 'bearer') else None


def _checked(user: Any) -> Any:
    if user is None or not user.is_active:
        raise CredentialsError(f'The credentials are wrong. {HOW}')
    if user.active_organization is None:
        raise CredentialsError(f'{user.email} belongs to no organization of this server.')
    return user


def _pair(value: str) -> tuple[str, str]:
    try:
        name, colon, secret = base64.b64decode(value, validate=True).decode().partition(':')
    except (binascii.Error, ValueError):
        raise CredentialsError(f'The header of basic auth is damaged. {HOW}') from None
    if not colon:
        raise CredentialsError(f'The header of basic auth has no password. {HOW}')
    return name, secret


def _of_token(token: str) -> Any:
    """The user of a personal access token, of an access token made from it, or of a legacy token."""
    return _of_jwt(token) if token.count('.') == 2 else _of_legacy_token(token)


def _of_legacy_token(token: str) -> Any:
    from label_studio.ml_host.upstream import TokenAuthenticationPhaseout

    try:
        user, _ = TokenAuthenticationPhaseout().authenticate_credentials(token)
    except APIException:
        return None
    if user.active_organization and not user.active_organization.jwt.legacy_api_tokens_enabled:
        raise CredentialsError(
            'Legacy tokens are switched off on this server: send a personal access token, or let an administrator '
            'allow them on the page Organization > API Tokens Settings.'
        )
    return user


def _of_jwt(token: str) -> Any:
    from rest_framework_simplejwt.exceptions import TokenError
    from rest_framework_simplejwt.tokens import AccessToken

    from label_studio.ml_host.upstream import LSAPIToken, User

    for kind in (LSAPIToken, AccessToken):
        try:
            payload = kind(token)
        except TokenError:
            continue
        user = User.objects.filter(pk=payload.get('user_id')).first()
        allowed = user is not None and user.active_organization and user.active_organization.jwt.api_tokens_enabled
        return user if allowed else None
    return None
