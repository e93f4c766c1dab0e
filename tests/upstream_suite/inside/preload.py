"""A pytest plugin for upstream's suite: load what upstream's SDK would load late, and hash passwords quickly.

freezegun looks at every name of every module when a test freezes the clock. The SDK loads its types on first use, and
with a frozen clock pydantic refuses them. Whether some earlier test had loaded them depends on how tests were spread
over processes, under upstream's own settings too.

Django's million iterations guard people's passwords and take a third of a second of each test that makes a person.
"""

import contextlib

import label_studio_sdk
from django.contrib.auth.hashers import PBKDF2PasswordHasher

PBKDF2PasswordHasher.iterations = 1
for name in dir(label_studio_sdk):
    with contextlib.suppress(Exception):
        getattr(label_studio_sdk, name)
