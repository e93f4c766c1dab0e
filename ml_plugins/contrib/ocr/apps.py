"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig
from ml_plugins.contrib.ocr.engines import tesseract_program


class OcrConfig(MLBackendConfig):
    """Reads the lines of text in pictures, with RapidOCR or Tesseract."""

    name = 'ml_plugins.contrib.ocr'
    label = 'ocr'
    verbose_name = 'Text recognition (OCR)'
    backend = 'ml_plugins.contrib.ocr.backend:Ocr'
    description = 'Finds the lines of text in pictures and reads them, with RapidOCR or Tesseract.'
    requires = ('rapidocr-onnxruntime>=1.4',)
    extra = 'ocr'

    @classmethod
    def missing(cls, distribution: str = '') -> str:
        """One engine is enough, and Tesseract is no Python package."""
        return '' if tesseract_program() else super().missing(distribution)
