"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig


class SegmenterConfig(MLBackendConfig):
    """Outlines what an annotator boxes or clicks: GrabCut, or a SAM-type model whose files are given."""

    name = 'ml_plugins.contrib.segmenter'
    label = 'segmenter'
    verbose_name = 'Segmenter'
    backend = 'ml_plugins.contrib.segmenter.backend:Segmenter'
    description = 'Turns a box or a click in the editor into a brush mask or a polygon.'
    requires = ('opencv-python-headless>=4.12',)
    extra = 'segmenter'
