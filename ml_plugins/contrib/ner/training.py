"""A training run: goes on from a pipeline that knows entities, or starts from nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ml_plugins.backend import Run
from ml_plugins.contrib.ner.examples import Labeled, Place, as_document
from ml_plugins.contrib.ner.finder import Finder
from ml_plugins.contrib.ner.naming import names_to_learn
from ml_plugins.contrib.ner.pipelines import Pipeline
from ml_plugins.exceptions import TrainingError
from ml_plugins.label_config import Control

# Texts between two steps: few texts are learned in small batches, or there would be too few steps to learn anything.
_SMALLEST_BATCH, _LARGEST_BATCH, _STEPS = 2, 16, 8
_DROPOUT = 0.2


def train(
    labeled: Labeled, control: Control, pipeline: Pipeline, known: dict[str, str], epochs: int, run: Run
) -> Finder:
    """Train the pipeline, in place, on one control's spans.

    Raises:
        TrainingError: There is nothing to learn from; says what to label.
    """
    from spacy.training import Example
    from spacy.util import minibatch

    used = {label for _, places in labeled.train for *_, label in places}
    if not used:
        raise TrainingError(why_nothing(labeled, control))
    names = names_to_learn(control, known)
    documents = [as_document(pipeline.nlp, text, places, names, labeled.left_out) for text, places in labeled.train]
    examples = [Example(pipeline.nlp.make_doc(document.text), document) for document in documents if len(document)]
    for reason, count in sorted(labeled.left_out.items()):
        run.log(f'{count} span{"s" if count > 1 else ""} of "{control.name}" left out: {reason}')
    optimizer = _prepared(pipeline, examples, [names[label] for label in control.labels if label in used])
    size = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, len(examples) // _STEPS))
    shuffled = random.Random(run.seed)
    total = epochs * len(examples)
    for epoch in range(epochs):
        shuffled.shuffle(examples)
        for place, batch in enumerate(minibatch(examples, size)):
            losses = pipeline.nlp.update(batch, sgd=optimizer, drop=_DROPOUT)
            run.progress(min(epoch * len(examples) + (place + 1) * size, total), total, loss=float(losses['ner']))
    meanings = {**known, **{names[label]: label for label in used}}
    return Finder(control.name, pipeline, meanings)


def _prepared(pipeline: Pipeline, examples: Sequence, names: Sequence[str]):
    from spacy.util import fix_random_seed

    ner = pipeline.nlp.get_pipe('ner')
    fix_random_seed(0)
    for name in names:
        ner.add_label(name)
    # What knows entities already goes on from there; what is blank needs examples to find its size.
    return pipeline.nlp.resume_training() if pipeline.labels else pipeline.nlp.initialize(lambda: examples)


def why_nothing(labeled: Labeled, control: Control) -> str:
    """A sentence that says what to label."""
    if labeled.left_out:
        reasons = '; '.join(f'{count}: {reason}' for reason, count in sorted(labeled.left_out.items()))
        return f'No span of "{control.name}" can be learned from ({reasons}). Mark some in the texts and train again.'
    if any(places for _, places in labeled.held_out):
        return (
            f'All texts with spans of "{control.name}" are kept back for measuring the model. Mark some in more texts '
            'and train again.'
        )
    return f'No text has a span of "{control.name}" yet. Mark some and train again.'


def measure(finder: Finder, held_out: Sequence[tuple[str, list[Place]]]) -> dict[str, float]:
    """Precision, recall and F1 on held-out texts: right is what has the same ends and the same label."""
    if not held_out:
        return {}
    right = said = true = 0
    for start in range(0, len(held_out), 64):
        part = held_out[start : start + 64]
        found, _ = finder.find([text for text, _ in part], with_scores=False)
        for entities, (_, places) in zip(found, part, strict=True):
            ours, theirs = {(item.start, item.end, item.label) for item in entities}, set(places)
            right, said, true = right + len(ours & theirs), said + len(ours), true + len(theirs)
    return {
        'precision': right / said if said else 0.0,
        'recall': right / true if true else 0.0,
        'f1': 2 * right / (said + true) if said + true else 0.0,
    }
