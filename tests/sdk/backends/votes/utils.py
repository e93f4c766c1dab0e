"""The same name as another backend's sibling, and something else in it."""

from statistics import mode


def favourite(labels):
    return mode(labels)
