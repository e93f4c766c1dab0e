"""The plugin's entry."""

from ml_plugins.config import MLBackendConfig
from ml_plugins.contrib.llm.access import KEY_VARIABLE, is_set_up


class LlmConfig(MLBackendConfig):
    """Asks a large language model behind any endpoint that speaks OpenAI's protocol; off until a key is set."""

    name = 'ml_plugins.contrib.llm'
    label = 'llm'
    verbose_name = 'Large language model'
    backend = 'ml_plugins.contrib.llm.backend:LargeLanguageModel'
    description = 'Has a language model fill in the label config. Texts are sent to the endpoint that the server names.'

    @classmethod
    def missing(cls, distribution: str = '') -> str:
        """It is off until whoever runs the server gives it a key."""
        if is_set_up():
            return ''
        return f'the environment variable {KEY_VARIABLE} is not set: set it to the key of the endpoint'
