"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig


class ImageClassifierConfig(MLBackendConfig):
    """Classifies whole pictures: a pretrained backbone and a head that learns from the project's labels."""

    name = 'ml_plugins.contrib.image_classifier'
    label = 'image_classifier'
    verbose_name = 'Image classifier'
    backend = 'ml_plugins.contrib.image_classifier.backend:ImageClassifier'
    description = 'Learns the Choices of pictures from a few labeled ones, with a pretrained EfficientNet-Lite0.'
