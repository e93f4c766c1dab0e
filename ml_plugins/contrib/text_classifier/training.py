"""A training run: terms, embeddings, heads, and the numbers on the held-out texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.text_classifier.embedding import KeptEmbeddings
from ml_plugins.contrib.text_classifier.head import Head, chosen, fit_head
from ml_plugins.contrib.text_classifier.model import Model, features
from ml_plugins.contrib.text_classifier.targets import HeadPlan, Text, plan_heads
from ml_plugins.contrib.text_classifier.tfidf import Tfidf
from ml_plugins.contrib.text_classifier.vectors import main_directions
from ml_plugins.contrib.text_embeddings import Embedder
from ml_plugins.contrib.texts import LONGEST
from ml_plugins.exceptions import TrainingError
from ml_plugins.label_config import Control


def train(
    texts: Sequence[Text], controls: Sequence[Control], embedder: Embedder | None, embedder_name: str, run: Run
) -> tuple[Model, dict[str, float]]:
    """Train on the texts; gives the model and its metrics.

    Raises:
        TrainingError: No control has labels to learn from; says what to label.
    """
    plans, problems = plan_heads(texts, controls)
    if not plans:
        raise TrainingError(' '.join(problems))
    for problem in problems:
        run.log(f'Left out: {problem}')
    contents = [text.content[:LONGEST] for text in texts]
    learning = [index for index, text in enumerate(texts) if not text.held_out]
    run.log(f'{len(texts)} labeled texts, {len(learning)} to learn from; embeddings: {embedder_name or "none"}')
    tfidf = Tfidf.fit([contents[index] for index in learning])
    rows = tfidf.transform(contents)
    embedded = _embedded(texts, contents, embedder, run) if embedder else None
    if not rows.shape[1] and embedded is None:
        raise TrainingError('The labeled texts have no words to learn from. Label texts with words and train again.')
    wide = features(rows, embedded)
    run.progress(2 * len(texts), 2 * len(texts) + len(plans))
    heads = {}
    for done, plan in enumerate(plans, start=1):
        heads[plan.control.name] = _head(plan, texts, wide)
        run.progress(2 * len(texts) + done, 2 * len(texts) + len(plans))
    model = Model(tfidf, heads, embedder, embedder_name)
    if embedder is None and (terms := len(tfidf.terms.get('words', ()))):
        model = replace(model, directions=main_directions(rows[learning][:, :terms]))
    metrics = _measured(plans, heads, texts, wide)
    run.progress(2 * len(texts) + len(plans), 2 * len(texts) + len(plans), **metrics)
    return model, metrics


def _embedded(texts: Sequence[Text], contents: Sequence[str], embedder: Embedder, run: Run) -> np.ndarray:
    kept = KeptEmbeddings(embedder, run.cache_directory)
    places = [(text.task, text.key) for text in texts]
    return kept.of(places, contents, True, lambda done: run.progress(len(texts) + done, 2 * len(texts)))


def _head(plan: HeadPlan, texts: Sequence[Text], wide) -> Head:
    name = plan.control.name
    places = [index for index, text in enumerate(texts) if not text.held_out and name in text.answers]
    answers = [texts[index].answers[name] for index in places]
    return fit_head(name, plan.labels, plan.control.is_multiple, wide[places], answers)


def _measured(plans: Sequence[HeadPlan], heads: dict[str, Head], texts: Sequence[Text], wide) -> dict[str, float]:
    """Sizes, and the accuracy on held-out texts where there are any.

    Several choices are right when exactly the chosen labels were given. With several controls ``accuracy`` is their
    mean, and each has its own beside it.
    """
    held_out = sum(text.held_out for text in texts)
    metrics = {
        'train_size': float(len(texts) - held_out),
        'held_out_size': float(held_out),
        'classes': float(sum(len(plan.labels) for plan in plans)),
    }
    shares = {}
    for plan in plans:
        control = plan.control
        places = [index for index, text in enumerate(texts) if text.held_out and control.name in text.answers]
        if places:
            found = heads[control.name].probabilities(wide[places], control.labels)
            hits = [
                {control.labels[place] for place in chosen(row, control.is_multiple)}
                == set(texts[index].answers[control.name])
                for index, row in zip(places, found, strict=True)
            ]
            shares[control.name] = sum(hits) / len(hits)
    if shares:
        metrics['accuracy'] = float(np.mean(list(shares.values())))
    if len(plans) > 1:
        metrics |= {f'accuracy_{name}': share for name, share in shares.items()}
    return metrics
