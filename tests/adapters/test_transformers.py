"""Pipelines of transformers, with small networks made here: the biases of their last layers say what they answer."""

import sys
import wave

import numpy as np
import pytest

from ml_plugins import Serves, Task
from ml_plugins.adapters import TransformersBackend
from ml_plugins.exceptions import PluginBrokenError, RequirementMissingError
from ml_plugins.testing import BackendContract, MemoryFiles
from ml_plugins.torch_support import import_torchvision
from tests.adapters.configs import loaded, on_picture, on_text, picture_files

pytest.importorskip('transformers', reason="pip install 'label-studio[transformers]' to run these")
WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'fine', 'morning', 'anna', 'berg', 'in', 'berlin', '.']
SMALL = {
    'hidden_size': 16,
    'num_hidden_layers': 1,
    'num_attention_heads': 2,
    'intermediate_size': 16,
    'max_position_embeddings': 64,
}
MOOD = on_text('<Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>')


@pytest.fixture(scope='module')
def transformers():
    import_torchvision()
    import transformers

    return transformers


def save_tokenizer(transformers, folder):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    numbers = {word: place for place, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token='[UNK]'))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single='[CLS] $A [SEP]', pair='[CLS] $A [SEP] $B [SEP]', special_tokens=[('[CLS]', 2), ('[SEP]', 3)]
    )
    names = {f'{name.strip("[]").lower()}_token': name for name in WORDS[:5]}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names)
    fast.save_pretrained(folder)


def save_model(model, folder, bias):
    """A model whose last layer says the same of everything."""
    import torch

    layers = [module for module in model.modules() if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))]
    last = next(layer for layer in reversed(layers) if layer.bias is not None and len(layer.bias) == len(bias))
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor(bias))
    model.save_pretrained(folder)


def names_of(labels):
    return {'id2label': dict(enumerate(labels)), 'label2id': {name: place for place, name in enumerate(labels)}}


@pytest.fixture(scope='module')
def sentiment(transformers, tmp_path_factory):
    folder = tmp_path_factory.mktemp('sentiment')
    config = transformers.BertConfig(vocab_size=len(WORDS), **SMALL, **names_of(['GOOD', 'BAD']))
    save_model(transformers.BertForSequenceClassification(config), folder, [2.0, 0.0])
    save_tokenizer(transformers, folder)
    return str(folder)


class Sentiment(TransformersBackend):
    """Two lines."""

    task = 'text-classification'


@pytest.fixture(autouse=True)
def _folder(sentiment):
    Sentiment.model = sentiment


class TestSentiment(BackendContract):
    backend_class = Sentiment
    label_config = MOOD

    def tasks(self):
        return [Task(1, {'text': 'A fine morning'}), Task(2, {'text': 'rain ' * 200})]


def test_the_tags_follow_from_the_kind_of_pipeline():
    assert Sentiment.serves[0] == Serves('Choices', 'Text')


def test_texts_are_classified_with_probabilities():
    good, long = loaded(Sentiment, MOOD).predict([Task(1, {'text': 'A fine morning'}), Task(2, {'text': 'a ' * 99})])
    assert good.regions[0].value == long.regions[0].value == {'choices': ['good']}
    assert good.probabilities['mood'].tolist() == pytest.approx([0.88, 0.12], abs=0.01)


def test_labels_of_the_model_are_looked_at_when_it_is_loaded(caplog):
    xml = on_text('<Choices name="mood" toName="text"><Choice value="good"/><Choice value="other"/></Choices>')
    loaded(Sentiment, xml)
    assert '1 of 2 labels of the model' in caplog.text
    assert '"BAD"' in caplog.text


ENTITIES = on_text('<Labels name="entity" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>')


def test_entities_are_spans_in_characters_of_the_text(transformers, tmp_path):
    import torch

    labels = ['O', 'B-PER', 'I-PER', 'B-LOC']
    config = transformers.BertConfig(vocab_size=len(WORDS), **SMALL, **names_of(labels))
    model = transformers.BertForTokenClassification(config)
    save_tokenizer(transformers, tmp_path)
    # The word alone decides: its embedding goes straight to the last layer.
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        for name, weight in model.named_parameters():
            if name.endswith('LayerNorm.weight'):
                weight.fill_(1.0)
        meaning = {'anna': 1, 'berg': 2, 'berlin': 3}
        for place, word in enumerate(WORDS):
            model.bert.embeddings.word_embeddings.weight[place, meaning.get(word, 0)] = 4.0
        model.classifier.weight[torch.arange(4), torch.arange(4)] = 4.0
    model.save_pretrained(tmp_path)

    class Entities(TransformersBackend):
        task = 'token-classification'
        model = str(tmp_path)

    backend = loaded(Entities, ENTITIES)
    assert backend.labels == ('PER', 'LOC')
    [prediction] = backend.predict([Task(1, {'text': '💩 Anna Berg in Berlin.'})])
    backend.label_config.check(prediction)
    assert [(region.value['text'], region.value['labels']) for region in prediction.regions] == [
        ('Anna Berg', ['PER']),
        ('Berlin', ['LOC']),
    ]
    assert prediction.regions[0].value['start'] == 2


def test_zero_shot_takes_the_labels_of_the_label_config(transformers, tmp_path):
    config = transformers.BertConfig(
        vocab_size=len(WORDS), **SMALL, **names_of(['contradiction', 'neutral', 'entailment'])
    )
    save_model(transformers.BertForSequenceClassification(config), tmp_path, [0.0, 0.0, 1.0])
    save_tokenizer(transformers, tmp_path)

    class ZeroShot(TransformersBackend):
        task = 'zero-shot-classification'
        model = str(tmp_path)

    tasks = [Task(1, {'text': 'A fine morning'}), Task(2, {'text': 'Anna'})]
    for prediction in loaded(ZeroShot, MOOD).predict(tasks):
        assert prediction.probabilities['mood'].tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    several = MOOD.replace('toName="text"', 'toName="text" choice="multiple"', 1)
    for prediction in loaded(ZeroShot, several).predict(tasks):
        assert prediction.regions[0].value == {'choices': ['good', 'bad']}


def small_pictures(transformers, kind, folder, **options):
    getattr(transformers, kind)(size={'height': 32, 'width': 32}, **options).save_pretrained(folder)


def tasks_with_pictures():
    files = picture_files(one=np.zeros((20, 40, 3)), two=np.full((64, 48, 3), 255))
    return [Task(1, {'image': '/one.png'}, files=files), Task(2, {'image': '/two.png'}, files=files)]


def test_pictures_are_classified(transformers, tmp_path):
    config = transformers.ViTConfig(
        image_size=32,
        patch_size=16,
        **{k: v for k, v in SMALL.items() if k != 'max_position_embeddings'},
        **names_of(['tabby_cat', 'dog']),
    )
    save_model(transformers.ViTForImageClassification(config), tmp_path, [0.0, 3.0])
    small_pictures(transformers, 'ViTImageProcessor', tmp_path)

    class Pictures(TransformersBackend):
        task = 'image-classification'
        model = str(tmp_path)

    xml = on_picture(
        '<Choices name="animal" toName="image"><Choice value="Dog"/>'
        '<Choice value="Cat" predicted_values="tabby_cat"/></Choices>'
    )
    for prediction in loaded(Pictures, xml).predict(tasks_with_pictures()):
        assert prediction.regions[0].value == {'choices': ['Dog']}
        assert prediction.probabilities['animal'].tolist() == pytest.approx([0.95, 0.05], abs=0.01)


def test_objects_are_boxes_in_percent(transformers, tmp_path):
    config = transformers.YolosConfig(
        image_size=[32, 32],
        patch_size=16,
        num_detection_tokens=3,
        **{k: v for k, v in SMALL.items() if k != 'max_position_embeddings'},
        **names_of(['car', 'bus']),
    )
    save_model(transformers.YolosForObjectDetection(config), tmp_path, [0.0, 6.0, 0.0])
    small_pictures(transformers, 'YolosImageProcessor', tmp_path)

    class Objects(TransformersBackend):
        task = 'object-detection'
        model = str(tmp_path)

    xml = on_picture(
        '<RectangleLabels name="r" toName="image"><Label value="Car"/><Label value="Bus"/></RectangleLabels>'
    )
    backend = loaded(Objects, xml)
    for prediction in backend.predict(tasks_with_pictures()):
        backend.label_config.check(prediction)
        assert prediction.regions
        assert {tuple(region.value['rectanglelabels']) for region in prediction.regions} <= {('Car',), ('Bus',)}


def test_segments_are_masks(transformers, tmp_path):
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8,
        num_encoder_blocks=4,
        **names_of(['sky', 'ground']),
    )
    save_model(transformers.SegformerForSemanticSegmentation(config), tmp_path, [0.0, 2.0])
    small_pictures(transformers, 'SegformerImageProcessor', tmp_path)

    class Segments(TransformersBackend):
        task = 'image-segmentation'
        model = str(tmp_path)

    xml = on_picture('<BrushLabels name="b" toName="image"><Label value="Sky"/><Label value="Ground"/></BrushLabels>')
    backend = loaded(Segments, xml)
    for prediction, size in zip(backend.predict(tasks_with_pictures()), [(40, 20), (48, 64)], strict=True):
        backend.label_config.check(prediction)
        [region] = prediction.regions
        assert region.value['brushlabels'] == ['Ground']
        assert (region.extra['original_width'], region.extra['original_height']) == size


def sound(seconds=0.5, rate=16000):
    import io

    stream = io.BytesIO()
    with wave.open(stream, 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.sin(np.arange(int(seconds * rate)) / 8) * 9000).astype('<i2').tobytes())
    return stream.getvalue()


def test_speech_is_transcribed_and_a_damaged_sound_fails_alone(transformers, tmp_path):
    import json

    letters = ['<pad>', '<unk>', '|', 'h', 'i']
    (tmp_path / 'vocab.json').write_text(json.dumps({letter: place for place, letter in enumerate(letters)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(tmp_path / 'vocab.json'), pad_token='<pad>', unk_token='<unk>')
    extractor = transformers.Wav2Vec2FeatureExtractor()
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(tmp_path)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(letters),
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        **{k: v for k, v in SMALL.items() if k != 'max_position_embeddings'},
        pad_token_id=0,
    )
    save_model(transformers.Wav2Vec2ForCTC(config), tmp_path, [0.0, 0.0, 0.0, 4.0, 0.0])

    class Speech(TransformersBackend):
        task = 'automatic-speech-recognition'
        model = str(tmp_path)

    xml = '<View><Audio name="audio" value="$audio"/><TextArea name="said" toName="audio"/></View>'
    files = MemoryFiles({'/one.wav': sound(), '/half.wav': sound()[:30], '/none.wav': b''})
    tasks = [Task(place, {'audio': f'/{name}.wav'}, files=files) for place, name in enumerate(['one', 'half', 'none'])]
    heard, half, none = loaded(Speech, xml).predict(tasks)
    assert heard.regions[0].value == {'text': ['h']}
    assert 'WAV' in half.reason
    assert 'is empty' in none.reason


def test_a_missing_library_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(RequirementMissingError, match=r"pip install 'label-studio\[transformers\]'"):
        loaded(Sentiment, MOOD)


def test_what_is_not_set_or_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')

    class Unknown(TransformersBackend):
        task = 'divination'
        serves = [Serves('Choices', 'Text')]

    with pytest.raises(PluginBrokenError, match='token-classification'):
        loaded(Unknown, MOOD)

    class Nowhere(Sentiment):
        model = str(tmp_path / 'nowhere')

    with pytest.raises(PluginBrokenError, match='nowhere'):
        loaded(Nowhere, MOOD)

    class Unset(Sentiment):
        model = ''

    with pytest.raises(PluginBrokenError, match='model is not set'):
        loaded(Unset, MOOD)
