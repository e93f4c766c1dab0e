"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig


class TextClassifierConfig(MLBackendConfig):
    """Classifies whole texts: TF-IDF, sentence embeddings where there are some, and a head that is trained."""

    name = 'ml_plugins.contrib.text_classifier'
    label = 'text_classifier'
    verbose_name = 'Text classifier'
    backend = 'ml_plugins.contrib.text_classifier.backend:TextClassifier'
    description = 'Learns the Choices of texts from a few labeled ones, with TF-IDF and sentence embeddings.'
