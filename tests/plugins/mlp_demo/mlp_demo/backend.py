"""A model small enough to read: counts of labels by word."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ml_plugins import (
    Control,
    Dataset,
    Interaction,
    LabelConfig,
    LabelConfigError,
    MLBackend,
    Param,
    Prediction,
    Run,
    Serves,
    Task,
    TaskDataError,
    TaskFailure,
    TrainingError,
    notice,
)

MODEL_FILE = 'counts.json'
SETTINGS_FILE = 'settings.json'


class DemoBackend(MLBackend):
    """Counts which label goes with which word of a text, or with which brightness of a picture."""

    serves = (Serves('Choices', 'Text'), Serves('Choices', 'Image'))
    params = (
        Param('smoothing', 1.0, 'Added to every count.', minimum=0.01, maximum=100),
        Param('lower_case', True, 'Take "Cat" and "cat" for one word.'),
    )
    max_batch = 8
    max_delay = 0.002

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        """On top of the tags: at least two labels to choose from."""
        super().check(label_config)
        if len(_control(label_config).labels) < 2:
            raise LabelConfigError('its <Choices> needs at least two <Choice> tags')

    @classmethod
    def agreement(cls, answer: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]]) -> float:
        """It gives one choice: where people give several, any of them is right."""
        given, wanted = ({label for item in items for label in item['value']['choices']} for items in (answer, truth))
        return float(bool(given & wanted) or not (given or wanted))

    def setup(self) -> None:
        """Read the counts of the version in service."""
        self.control = _control(self.label_config)
        self.counts: dict[str, dict[str, int]] = {}
        if self.version is not None:
            self.counts = json.loads((self.version.path / MODEL_FILE).read_text(encoding='utf-8'))
        learned = {label for labels in self.counts.values() for label in labels}
        if gone := sorted(learned - set(self.control.labels)):
            notice(f'what it learned of {", ".join(gone)} is left out: the label config has no such label any more')

    def memory_bytes(self) -> int:
        """A rough size of the counts."""
        return sum(100 + 50 * len(labels) for labels in self.counts.values())

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        """One choice a task; a click with a choice is answered with that choice."""
        hint = _clicked_choice(interaction, self.control)
        return [self._predict_one(task, hint) for task in tasks]

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        """Count words by label, and measure on the held-out examples."""
        self.control = _control(self.label_config)
        checkpoint = run.checkpoint_directory / MODEL_FILE
        if checkpoint.exists():
            run.log('an earlier attempt at this run has counted already')
            self.counts = json.loads(checkpoint.read_text(encoding='utf-8'))
        else:
            self._count(dataset, run)
            # Under another name first: what is half written must not be found by the next attempt.
            unfinished = checkpoint.with_suffix('.part')
            unfinished.write_text(json.dumps(self.counts), encoding='utf-8')
            unfinished.replace(checkpoint)
        if not self.counts:
            raise TrainingError('there is no labeled task to learn from; label a few first')
        measured = self._accuracy(dataset, run)
        (run.directory / MODEL_FILE).write_text(json.dumps(self.counts), encoding='utf-8')
        (run.directory / SETTINGS_FILE).write_text(json.dumps(self._settings()), encoding='utf-8')
        return {**measured, 'words': float(len(self.counts))}

    def _count(self, dataset: Dataset, run: Run) -> None:
        """All examples, or only the new ones where what was counted before still holds."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        changes = dataset.changes
        goes_on = changes is not None and not (changes.changed or changes.removed) and self._fits(run)
        if goes_on:
            stored = json.loads((run.previous.path / MODEL_FILE).read_text(encoding='utf-8'))
            counts.update({word: Counter(found) for word, found in stored.items()})
        examples = dataset.only(changes.added) if goes_on else dataset.train
        total, seen = len(changes.added) if goes_on else len(dataset), 0
        for words, labels in self._labeled(examples, run):
            for word in words:
                counts[word].update(labels)
            seen += 1
            run.progress(seen, total)
        self.counts = {word: dict(found) for word, found in counts.items()}
        run.log(f'words of {seen} tasks counted, {"on top of the version before" if goes_on else "from scratch"}')

    def _fits(self, run: Run) -> bool:
        """Whether the version before was counted in the same way."""
        settings = run.previous.path / SETTINGS_FILE if run.previous else None
        return bool(settings and settings.exists() and json.loads(settings.read_text()) == self._settings())

    def _settings(self) -> dict[str, object]:
        return {'control': self.control.name, 'lower_case': self.param_values['lower_case']}

    def close(self) -> None:
        """Forget the counts."""
        self.counts = {}

    def _predict_one(self, task: Task, hint: str) -> Prediction | TaskFailure:
        try:
            words = self._words(task)
        except TaskDataError as error:
            return TaskFailure(task.id, str(error))
        shares = self._shares(words)
        label = hint or self.control.labels[int(shares.argmax())]
        score = float(shares.max())
        return Prediction(
            [self.control.choices(label, score=score)],
            score=score,
            probabilities={self.control.name: shares},
            embedding=shares,
        )

    def _shares(self, words: Sequence[str]) -> np.ndarray:
        weights = np.full(len(self.control.labels), float(self.param_values['smoothing']))
        for word in words:
            found = self.counts.get(word, {})
            weights += [found.get(label, 0) for label in self.control.labels]
        return weights / weights.sum()

    def _words(self, task: Task) -> list[str]:
        if self.control.object_tag == 'Image':
            brightness = np.asarray(task.image(self.control.value).convert('L')).mean()
            return [f'brightness {int(brightness // 64)}']
        text = task.text(self.control.value)
        return (text.lower() if self.param_values['lower_case'] else text).split()

    def _labeled(self, examples: Iterator, run: Run) -> Iterator[tuple[list[str], list[str]]]:
        for example in examples:
            try:
                yield self._words(example.task), example.annotation.labels(self.control.name)
            except TaskDataError as error:
                run.skip(example.task.id, str(error))

    def _accuracy(self, dataset: Dataset, run: Run) -> dict[str, float]:
        hits = [
            self.control.labels[int(self._shares(words).argmax())] in labels
            for words, labels in self._labeled(dataset.held_out, run)
        ]
        # With nothing held out there is nothing to report; 0 would look like a model that is always wrong.
        return {'accuracy': sum(hits) / len(hits)} if hits else {}


def _control(label_config: LabelConfig) -> Control:
    found = [*label_config.controls('Choices', 'Text'), *label_config.controls('Choices', 'Image')]
    return found[0]


def _clicked_choice(interaction: Interaction | None, control: Control) -> str:
    for region in interaction.regions if interaction else ():
        labels = region.get('value', {}).get('choices', [])
        if region.get('from_name') == control.name and labels:
            return str(labels[0])
    return ''
