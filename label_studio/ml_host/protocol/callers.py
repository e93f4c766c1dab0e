"""Who calls: a token or a user name with password, in any of the ways that other Label Studios can send them."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from label_studio.ml_host.protocol.errors import CredentialsError
from label_studio.ml_host.serving.service.recent import Recent

# A withdrawn token is refused after at most this long, in seconds.
KEPT_SECONDS = 5.0
# Checking a password takes a third of a second of a processor, and Label Studio waits one second for /health. One that
# was right is known again for so long, as long as the user's password stays the same.
PASSWORD_SECONDS = 3600.0
HOW = (
    'Send the email and password of a user of this server by basic auth, or a token: as the password, with "token" '
    'for the user name, or in the header "Authorization: Token …" or "Bearer …".'
)

_recent: Recent[Any] = Recent(KEPT_SECONDS)
_passwords: Recent[tuple[int, str]] = Recent(PASSWORD_SECONDS)
_secret = secrets.token_bytes(32)


def forget() -> None:
    """Check everybody anew."""
    _recent.forget()
    _passwords.forget()


def caller_of(request: HttpRequest) -> Any:
    """The user who calls.

    Raises:
        CredentialsError: There are no credentials, or they are wrong; says how they are sent.
    """
    header = request.META.get('HTTP_AUTHORIZATION', '')
    if not header:
        raise CredentialsError(f'Credentials are missing. {HOW}')
    return _recent.get(_known_as(header), lambda: _checked(_user(header)))


def _user(header: str) -> Any:
    kind, _, value = header.partition(' ')
    kind, value = kind.lower(), value.strip()
    if kind == 'basic':
        name, secret = _pair(value)
        return _of_token(secret) if name == 'token' else _of_password(name, secret)
    return _of_token(value) if kind in ('token', 'bearer') else None


def _known_as(secret: str) -> bytes:
    """A name for a secret that is not kept in memory for longer than the request."""
    return hmac.digest(_secret, secret.encode(), 'sha256')


def _of_password(name: str, password: str) -> Any:
    from label_studio.ml_host.upstream import User

    def check() -> tuple[int, str]:
        user = authenticate(username=name, password=password)
        if user is None:
            raise CredentialsError(f'The credentials are wrong. {HOW}')
        return user.pk, user.password

    key = _known_as(f'{name}:{password}')
    number, stored = _passwords.get(key, check)
    user = User.objects.filter(pk=number, password=stored).first()
    if user is None:
        # It was changed: the next call has to bring the new one.
        _passwords.forget()
    return user


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
