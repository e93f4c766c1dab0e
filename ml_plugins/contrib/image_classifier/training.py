"""A training run: features, heads, fine-tuning where it was asked for, and the numbers on the held-out pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.image_classifier.backbones import Backbone
from ml_plugins.contrib.image_classifier.feature_store import FeatureStore
from ml_plugins.contrib.image_classifier.features import Extracted, extract
from ml_plugins.contrib.image_classifier.fine_tune import Schedule, fine_tune
from ml_plugins.contrib.image_classifier.head import Head, chosen, fit_head
from ml_plugins.contrib.image_classifier.targets import HeadPlan, Picture, plan_heads
from ml_plugins.exceptions import TrainingError
from ml_plugins.label_config import Control


@dataclass(frozen=True)
class Trained:
    """What a run leaves: heads for the backbone, which fine-tuning has changed, and metrics."""

    heads: Sequence[Head]
    metrics: dict[str, float]


def plan(pictures: Sequence[Picture], controls: Sequence[Control]) -> tuple[list[HeadPlan], list[str]]:
    """The heads to train and what is wrong with the other controls.

    Raises:
        TrainingError: No control has labels to learn from; says what to label.
    """
    plans, problems = plan_heads(pictures, controls)
    if not plans:
        raise TrainingError(' '.join(problems))
    return plans, problems


def train(
    pictures: Sequence[Picture], controls: Sequence[Control], backbone: Backbone, run: Run, schedule: Schedule
) -> Trained:
    """Train on the pictures that can be read; the others are reported to the run.

    Raises:
        TrainingError: Too few of them are left.
    """
    held_out = [picture for picture in pictures if picture.held_out]
    learning = len(pictures) - len(held_out)
    total = len(pictures) + (schedule.steps(learning) + len(held_out) if schedule.epochs else 0)
    run.log(f'{len(pictures)} labeled pictures, {learning} to learn from; {backbone.name} on {backbone.device}')
    store = FeatureStore(run.cache_directory, backbone.fingerprint)
    extracted = extract(pictures, backbone.folded(), run, schedule.batch_size, total, store=store)
    plans, problems = plan(extracted.pictures, controls)
    for problem in problems:
        run.log(f'Left out: {problem}')
    heads = train_heads(plans, extracted, backbone.device)
    if schedule.epochs:
        learned = [picture for picture in extracted.pictures if _is_learned(picture, plans)]
        heads = fine_tune(backbone, heads, learned, run, schedule, len(pictures), total)
        done = total - len(held_out)
        # Features of the changed backbone; only those that are measured are needed.
        fresh = extract(held_out, backbone.folded(), run, schedule.batch_size, total, done)
        extracted = _replace_features(extracted, fresh)
    metrics = measure(plans, heads, extracted)
    run.progress(total, total, **metrics)
    return Trained(heads, metrics)


def _is_learned(picture: Picture, plans: Sequence[HeadPlan]) -> bool:
    return not picture.held_out and any(plan.control.name in picture.answers for plan in plans)


def _replace_features(extracted: Extracted, fresh: Extracted) -> Extracted:
    """The training pictures as they were, the held-out ones with their new features."""
    kept = [index for index, picture in enumerate(extracted.pictures) if not picture.held_out]
    return Extracted(
        [*(extracted.pictures[index] for index in kept), *fresh.pictures],
        np.concatenate([extracted.features[kept], fresh.features]),
    )


def train_heads(plans: Sequence[HeadPlan], extracted: Extracted, device: str) -> list[Head]:
    """One head for each plan."""
    return [_train_head(plan, extracted, device) for plan in plans]


def _train_head(plan: HeadPlan, extracted: Extracted, device: str) -> Head:
    name = plan.control.name
    rows = [
        index for index, picture in enumerate(extracted.pictures) if not picture.held_out and name in picture.answers
    ]
    answers = [extracted.pictures[index].answers[name] for index in rows]
    return fit_head(name, plan.labels, plan.control.is_multiple, extracted.features[rows], answers, device)


def measure(plans: Sequence[HeadPlan], heads: Sequence[Head], extracted: Extracted) -> dict[str, float]:
    """Numbers of the run: sizes, and the accuracy on held-out pictures where there are any.

    A multiple choice is right when exactly the chosen labels were given. With several controls ``accuracy`` is their
    mean, and each has its own beside it.
    """
    held_out = sum(picture.held_out for picture in extracted.pictures)
    metrics: dict[str, float] = {
        'train_size': float(len(extracted.pictures) - held_out),
        'held_out_size': float(held_out),
        'classes': float(sum(len(plan.labels) for plan in plans)),
    }
    shares = {}
    for plan, head in zip(plans, heads, strict=True):
        hits = _hits(plan, head, extracted.pictures, extracted.features)
        if hits:
            shares[plan.control.name] = sum(hits) / len(hits)
    if shares:
        metrics['accuracy'] = float(np.mean(list(shares.values())))
    if len(plans) > 1:
        metrics |= {f'accuracy_{name}': share for name, share in shares.items()}
    return metrics


def _hits(plan: HeadPlan, head: Head, pictures: Sequence[Picture], features: np.ndarray) -> list[bool]:
    control = plan.control
    rows = [index for index, picture in enumerate(pictures) if picture.held_out and control.name in picture.answers]
    if not rows:
        return []
    probabilities = head.probabilities(features[rows], control.labels)
    return [
        {control.labels[place] for place in chosen(row, control.is_multiple)}
        == set(pictures[index].answers[control.name])
        for index, row in zip(rows, probabilities, strict=True)
    ]
