"""23,700 short English texts from four sources, with the mean of what 20 people said about how positive each is.

Hutto and Gilbert (2014), inside the source package of vaderSentiment, MIT: product reviews of Amazon, movie reviews,
editorials of the New York Times, and tweets.
"""

import random
import tarfile
from dataclasses import dataclass

from tests.assets.pypi import fetched

SOURCES = {
    'product review': 'amazonReviewSnippets',
    'movie review': 'movieReviewSnippets',
    'editorial': 'nytEditorialSnippets',
    'tweet': 'tweets',
}
_ARCHIVE = 'hutto_ICWSM_2014.tar.gz'


@dataclass(frozen=True)
class Snippet:
    """One text with its source and its mean rating, from -4 to 4."""

    text: str
    source: str
    rating: float


def snippets() -> list[Snippet]:
    """All of them, in an order that is always the same and not sorted by anything. Raises `AssetsMissingError`."""
    folder = fetched(
        'vaderSentiment==3.3.2', '5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9', (_ARCHIVE,)
    )
    found = []
    with tarfile.open(folder / _ARCHIVE) as archive:
        for source, name in SOURCES.items():
            content = archive.extractfile(f'hutto_ICWSM_2014/{name}_GroundTruth.txt').read()
            for line in content.decode('utf-8', 'replace').splitlines():
                fields = line.split('\t')
                if len(fields) >= 3:
                    found.append(Snippet(fields[2], source, float(fields[1])))
    random.Random(0).shuffle(found)
    return found
