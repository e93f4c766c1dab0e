"""A loaded pipeline for one control: finds entities, says how sure it is, and is written and read as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml_plugins.adapters.spans import within
from ml_plugins.contrib.ner.pipelines import Pipeline, load_pipeline
from ml_plugins.exceptions import MLPluginError, ModelVersionError

if TYPE_CHECKING:
    from spacy.tokens import Doc

CONFIG, WEIGHTS = 'config.json', 'ner'
# What `Finder.save` leaves beside JSON: arrays and texts in MessagePack, which spaCy reads without running anything.
SAFE_FILES = (f'*/{WEIGHTS}/model', f'*/{WEIGHTS}/moves', f'*/{WEIGHTS}/cfg')
_FORMAT = 1
_UNSEEN = 'unseen_classes'
# Ways to read a text that are weighed against each other to say how sure an entity is.
_BEAM = 4


@dataclass(frozen=True)
class Entity:
    """A piece of a text.

    Attributes:
        label: The control's label.
        score: How sure it is, in 0..1; None where that was not asked for.
    """

    start: int
    end: int
    label: str
    score: float | None = None


class Finder:
    """Entities of one control.

    Args:
        control: The control's name.
        pipeline: With its part that finds entities.
        meanings: The control's labels by the pipeline's names; entities of other names are left out.
    """

    def __init__(self, control: str, pipeline: Pipeline, meanings: Mapping[str, str]) -> None:
        self.control = control
        self.pipeline = pipeline
        self.meanings = dict(meanings)
        self._ner = pipeline.nlp.get_pipe('ner')

    def find(self, texts: Sequence[str], with_scores: bool) -> tuple[list[list[Entity]], np.ndarray]:
        """Entities of each text in order, and a vector that stands for each text."""
        documents = [self.pipeline.nlp.make_doc(text) for text in texts]
        filled = [document for document in documents if len(document)]
        scores: list[Mapping[tuple[int, int, str], float]] = []
        if filled:
            self._ner.set_annotations(filled, self._ner.predict(filled))
            if with_scores:
                scores = self._ner.scored_ents(self._ner.beam_parse(filled, beam_width=_BEAM, beam_density=0.0))
        known = dict(zip(map(id, filled), scores, strict=False))
        found = [self._entities(document, known.get(id(document))) for document in documents]
        return found, self._vectors(documents)

    def _entities(self, document: Doc, scores: Mapping[tuple[int, int, str], float] | None) -> list[Entity]:
        found = []
        for entity in document.ents:
            label = self.meanings.get(entity.label_)
            ends = within(document.text, entity.start_char, entity.end_char)
            if label is not None and ends is not None:
                score = None if scores is None else scores.get((entity.start, entity.end, entity.label_), 0.0)
                found.append(Entity(*ends, label, None if score is None else float(min(1.0, max(0.0, score)))))
        return found

    def _vectors(self, documents: Sequence[Doc]) -> np.ndarray:
        """Mean of the tokens' vectors, of length one; zeros for a text without tokens."""
        layer = self._ner.model.get_ref('tok2vec')
        found = layer.predict(documents)
        tokens = np.concatenate(found) if isinstance(found, (list, tuple)) else np.asarray(found)
        rows = np.zeros((len(documents), tokens.shape[1]), np.float32)
        stop = 0
        for row, document in zip(rows, documents, strict=True):
            start, stop = stop, stop + len(document)
            if stop > start:
                row[:] = tokens[start:stop].mean(axis=0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1)

    def save(self, folder: Path, language: str) -> None:
        """Write what was trained, and the name of what it was trained from."""
        folder.mkdir(parents=True)
        self._ner.to_disk(folder / WEIGHTS, exclude=['vocab'])
        config = {
            'format': _FORMAT,
            'control': self.control,
            'model': self.pipeline.name,
            'language': language,
            'fingerprint': self.pipeline.fingerprint,
            'meanings': self.meanings,
            # Ways to go on that no text has shown are never taken; spaCy forgets which those are.
            'unseen': sorted(self._ner.model.attrs[_UNSEEN]),
        }
        (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding='utf-8')

    @classmethod
    def load(cls, folder: Path) -> Finder:
        """Read what `save` wrote.

        Raises:
            ModelVersionError: A file is missing or damaged, or what it was trained from is not installed.
        """
        try:
            config = json.loads((folder / CONFIG).read_text(encoding='utf-8'))
            if config['format'] != _FORMAT:
                raise ModelVersionError(
                    f'{folder / CONFIG} has format {config["format"]}; this release reads {_FORMAT}'
                )
            pipeline = load_pipeline(config['model'], config['language'])
            if pipeline.fingerprint != config['fingerprint']:
                raise ModelVersionError(
                    f'the model in {folder} was trained from {config["fingerprint"]}, and {pipeline.fingerprint} is '
                    'installed; train again'
                )
            ner = pipeline.nlp.get_pipe('ner').from_disk(folder / WEIGHTS, exclude=['vocab'])
            ner.model.attrs[_UNSEEN] = set(config['unseen'])
            return cls(config['control'], pipeline, config['meanings'])
        except ModelVersionError:
            raise
        except MLPluginError as error:
            raise ModelVersionError(f'the model in {folder} cannot be loaded: {error}') from error
        except Exception as error:
            # Whatever spaCy and its parts raise on a damaged file: it has no common root.
            raise ModelVersionError(
                f'the model in {folder} cannot be loaded: {type(error).__name__}: {error}'
            ) from error
