"""What a plugin needs beyond its own package, and the command that brings it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement


def missing_packages(requirements: Sequence[str], package: str = '') -> str:
    """Which packages are not installed, as a sentence with the command; an empty string when all are.

    Args:
        requirements: As pip takes them, e.g. ``spacy>=3.7``.
        package: What to install to have them all, e.g. ``label-studio[ner]``; by default the missing ones.
    """
    problems = {text: reason for text in requirements if (reason := _why_not(Requirement(text)))}
    if not problems:
        return ''
    return f'{", ".join(problems.values())}: {install_command(*([package] if package else problems))}'


def install_command(*packages: str) -> str:
    """The command line that installs packages, quoted for a shell."""
    return f'pip install {" ".join(shlex.quote(package) for package in packages)}'


def _why_not(requirement: Requirement) -> str:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ''
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f'{requirement.name} is not installed'
    if requirement.specifier.contains(found, prereleases=True):
        return ''
    return f'{requirement.name} {found} is installed, and it needs {requirement.specifier}'
