"""A sibling with the commonest of names."""

from collections import Counter, defaultdict


def words_of(text):
    return text.lower().split()


class Counts:
    """How often each word stood in a text with each label; pickled as a class of this module."""

    def __init__(self):
        self.words = defaultdict(Counter)

    def learn(self, words, label):
        for word in words:
            self.words[word][label] += 1

    def best(self, words, labels):
        votes = Counter()
        for word in words:
            votes.update(self.words.get(word, {}))
        if not votes:
            return labels[0], 0.0
        label, count = votes.most_common(1)[0]
        return label, count / votes.total()
