"""A plugin made of a function; its labels are those of the model, which label configs name otherwise."""

from ml_plugins.adapters import serve

SUNNY = {'sunny', 'fine', 'bright'}


def words_of(text: str) -> dict[str, float]:
    """How likely a text is fine: the share of its words that are, and a half."""
    words = text.lower().split()
    fine = 0.5 + sum(word in SUNNY for word in words) / (2 * len(words))
    return {'POS': fine, 'NEG': 1 - fine}


WordsConfig = serve(
    words_of,
    ('Choices', 'Text'),
    labels=('POS', 'NEG'),
    label_map={'POS': 'good', 'NEG': 'bad'},
    verbose_name='Demo of a function',
    description='Looks for fine words.',
)
