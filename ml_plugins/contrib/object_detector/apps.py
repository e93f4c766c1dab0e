"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig


class ObjectDetectorConfig(MLBackendConfig):
    """Finds objects in pictures and boxes them; learns from the project's boxes."""

    name = 'ml_plugins.contrib.object_detector'
    label = 'object_detector'
    verbose_name = 'Object detector'
    backend = 'ml_plugins.contrib.object_detector.backend:ObjectDetector'
    description = 'Learns to box objects from the boxes that people draw, on a pretrained EfficientNet-Lite0.'
