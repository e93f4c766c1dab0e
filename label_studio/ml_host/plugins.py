"""Bring installed plugins into Django: called while the settings are read, before any app loads."""

from collections.abc import Collection

from label_studio.ml_host.sdk.added import all_candidates
from ml_plugins.registry import registry


def installed_plugin_apps(exclude: Collection[str] = (), taken: Collection[str] = ()) -> list[str]:
    """Entries for ``INSTALLED_APPS`` of the plugins that can be imported; broken ones are recorded and left out."""
    return registry.load(all_candidates(exclude), taken)
