"""Named entities: Labels on pieces of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml_plugins.backend import Dataset, MLBackend, Run, Serves
from ml_plugins.contrib.ner.examples import collect
from ml_plugins.contrib.ner.finder import CONFIG, SAFE_FILES, Entity, Finder
from ml_plugins.contrib.ner.naming import meanings
from ml_plugins.contrib.ner.pipelines import AUTO, load_pipeline
from ml_plugins.contrib.ner.training import measure, train, why_nothing
from ml_plugins.contrib.texts import LONGEST, text_or_failure
from ml_plugins.exceptions import LabelConfigError, ParameterError, TrainingError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Region, Task, TaskFailure


class NamedEntities(MLBackend):
    """spaCy for each Labels tag on a text: pretrained where a pipeline is installed, and trained on the project."""

    serves = (Serves('Labels', 'Text'),)
    params = (
        Param('model', AUTO, 'Pipeline of spaCy: "auto", "blank", the name of an installed one, or a folder.'),
        Param('language', 'en', 'Code of the language, for a pipeline that starts from nothing.'),
        Param('label_map', '', 'Labels by the names of the pipeline, e.g. "GPE = City; PERSON = Author".'),
        Param('epochs', 15, 'Passes over the texts while training.', minimum=1, maximum=1000),
        Param('scores', True, 'Say how sure each entity is; costs a third of the speed.'),
    )
    max_batch = 64
    safe_files = SAFE_FILES

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        _controls(label_config)

    def setup(self) -> None:
        controls = _controls(self.label_config)
        folders = sorted(self.version.path.glob(f'*/{CONFIG}')) if self.version else ()
        found = [Finder.load(path.parent) for path in folders] if self.version else map(self._untrained, controls)
        self._finders = {finder.control: finder for finder in found if finder}
        self._places = [control for control in controls if control.name in self._finders]

    def _untrained(self, control: Control) -> Finder | None:
        pipeline = load_pipeline(self.param_values['model'], self.param_values['language'])
        if not pipeline.labels:
            return None
        return Finder(control.name, pipeline, meanings(control, pipeline.labels, self.param_values['label_map']))

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        if not self._places:
            return [None] * len(tasks)
        keys = dict.fromkeys(control.value for control in self._places)
        read = [{key: text_or_failure(task, key) for key in keys} for task in tasks]
        found: list[Prediction | TaskFailure | None] = [
            next((text for text in texts.values() if isinstance(text, TaskFailure)), None) for texts in read
        ]
        good = [place for place, failure in enumerate(found) if failure is None]
        if good:
            for place, prediction in zip(good, self._predicted([read[place] for place in good]), strict=True):
                found[place] = prediction
        return found

    def _predicted(self, read: Sequence[Mapping[str, str]]) -> list[Prediction]:
        regions: list[list[Region]] = [[] for _ in read]
        vectors = []
        for control in self._places:
            entities, rows = self._finders[control.name].find(
                [texts[control.value][:LONGEST] for texts in read], self.param_values['scores']
            )
            vectors.append(rows)
            for own, texts, items in zip(regions, read, entities, strict=True):
                own += [_region(control, texts[control.value], item) for item in items if item.label in control.labels]
        return [
            Prediction(own, _least(own), embedding=vector)
            for own, vector in zip(regions, np.concatenate(vectors, axis=1), strict=True)
        ]

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        run.progress(0, 1)
        values, metrics, problems = self.param_values, {}, []
        controls = _controls(self.label_config)
        for place, control in enumerate(controls):
            labeled = collect(dataset, control, run)
            if not any(places for _, places in labeled.train):
                problems.append(why_nothing(labeled, control))
                continue
            try:
                pipeline = load_pipeline(values['model'], values['language'])
                known = meanings(control, pipeline.labels, values['label_map'])
            except (ParameterError, LabelConfigError) as error:
                raise TrainingError(str(error)) from error
            run.log(f'{len(labeled.train)} texts of "{control.name}" to learn from, from {pipeline.fingerprint}')
            finder = train(labeled, control, pipeline, known, values['epochs'], run)
            finder.save(run.directory / f'labels-{place}', values['language'])
            own = {'train_size': float(len(labeled.train)), 'held_out_size': float(len(labeled.held_out))}
            own |= measure(finder, labeled.held_out)
            metrics |= own if len(controls) == 1 else {f'{name}_{control.name}': value for name, value in own.items()}
        if not metrics:
            raise TrainingError(' '.join(problems))
        for problem in problems:
            run.log(f'Left out: {problem}')
        return metrics


def _controls(label_config: LabelConfig) -> tuple[Control, ...]:
    found = {control.name: control for control in label_config.controls('Labels', 'Text') if control.labels}
    if not found:
        raise LabelConfigError(
            f'it needs <Labels> with their <Label> tags on <Text>, and the label config has {label_config.summary()}'
        )
    return tuple(found.values())


def _region(control: Control, text: str, entity: Entity) -> Region:
    return control.span(entity.start, entity.end, entity.label, text[entity.start : entity.end], entity.score)


def _least(regions: Sequence[Region]) -> float | None:
    """A prediction is as sure as its least sure entity."""
    scores = [region.score for region in regions if region.score is not None]
    return min(scores) if scores else None
