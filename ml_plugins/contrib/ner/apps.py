"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig


class NerConfig(MLBackendConfig):
    """Finds named entities in texts with spaCy, and learns those of the project."""

    name = 'ml_plugins.contrib.ner'
    label = 'ner'
    verbose_name = 'Named entities'
    backend = 'ml_plugins.contrib.ner.backend:NamedEntities'
    description = "Marks people, places and whatever else the project's Labels name in texts, with spaCy."
    requires = ('spacy>=3.8,<4',)
    extra = 'ner'
