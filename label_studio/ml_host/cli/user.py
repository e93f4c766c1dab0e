"""Who owns the first project: named on the command line, known already, or asked for."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import Any

NO_USER = (
    'There is no user yet, and nobody to ask: name one with --username EMAIL and --password PASSWORD '
    '(or LABEL_STUDIO_USERNAME and LABEL_STUDIO_PASSWORD).'
)
NO_ANSWER = 'No user was named. Start again, or name one with --username EMAIL and --password PASSWORD.'


TOKEN_REFUSED = (
    'The token of --user-token is refused, because legacy tokens are switched off: with a new data directory, start '
    'with --enable-legacy-api-token; else allow "Legacy Tokens" on the page Organization > API Tokens Settings.'
)


def is_wanted(options: argparse.Namespace) -> bool:
    """Whether this start makes a user when none is there; as upstream, named users are made without a project too."""
    return bool(options.init or options.username or options.password)


def ensure_user(options: argparse.Namespace, config: dict) -> Any:
    """The named user, made if missing; else the first one there is; else one that is asked for."""
    user = _find_or_make(options, config)
    if options.user_token and not user.active_organization.jwt.legacy_api_tokens_enabled:
        print(TOKEN_REFUSED)
    return user


def _find_or_make(options: argparse.Namespace, config: dict) -> Any:
    from label_studio.ml_host.upstream import User, create_user

    email = _email(options, config)
    if email and (known := User.objects.filter(email__iexact=email).first()) and known.active_organization:
        return known
    if not email and (first := User.objects.filter(is_active=True).order_by('-is_superuser', 'id').first()):
        return first
    name_user(options, config)
    return create_user(options, config)


def name_user(options: argparse.Namespace, config: dict) -> None:
    """Put email and password of a new user into the options, asking for what is missing; ends the command if nobody
    answers, or if nobody could log in with that name."""
    email, password = _email(options, config), _password(options, config)
    if email and (reason := _email_problem(email)):
        raise SystemExit(f'--username must be an email address, because people log in with it: "{email}" {reason}')
    if not (email and password) and not sys.stdin.isatty():
        raise SystemExit(NO_USER)
    try:
        # Upstream's pages compare with lower case.
        options.username = (email or _ask_email()).lower()
        options.password = password or _ask_password(options.username)
    except EOFError:
        raise SystemExit(f'\n{NO_ANSWER}') from None


def _email(options: argparse.Namespace, config: dict) -> str:
    # Upstream looks at USERNAME too, which some systems set to the login name: that is nobody's email.
    return (options.username or config.get('username') or os.environ.get('LABEL_STUDIO_USERNAME') or '').strip()


def _password(options: argparse.Namespace, config: dict) -> str:
    given = os.environ.get('LABEL_STUDIO_PASSWORD') or os.environ.get('PASSWORD')
    return options.password or config.get('password') or given or ''


def _email_problem(email: str) -> str:
    """Why nobody could log in with that name; upstream's log-in form decides."""
    from django.conf import settings
    from django.core.exceptions import ValidationError
    from django.core.validators import validate_email

    if getattr(settings, 'USE_USERNAME_FOR_LOGIN', False):
        return ''
    try:
        validate_email(email)
    except ValidationError:
        return 'is not an email address.'
    return ''


def _password_problem(password: str, email: str) -> str:
    """What upstream's sign-up page would say."""
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    from label_studio.ml_host.upstream import User

    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        return ' '.join(error.messages)
    return ''


def _ask_email() -> str:
    print('No user exists yet. With which email and password will you log in?')
    while True:
        email = input('Email: ').strip()
        problem = _email_problem(email)
        if not problem:
            return email
        print(f'That {problem}')


def _ask_password(email: str) -> str:
    while True:
        password = getpass.getpass(f'Password for {email}: ')
        if problem := _password_problem(password, email):
            print(problem)
        elif getpass.getpass('The same password again: ') != password:
            print('The two differ.')
        else:
            return password
