"""The answer store: many writers, merged files, damaged files; the latest row of a task counts."""

import threading
import time

import numpy as np
import pytest

from label_studio.ml_host.sampling import parts, selection, store
from label_studio.ml_host.sampling.rows import rows_of
from label_studio.ml_host.sampling.store import AnswerStore
from ml_plugins import Prediction
from ml_plugins.types import Region


def answers(task_ids, sure=0.75, width=4, **fields):
    """Predictions with two classes and an embedding that names the task."""
    return [
        (
            number,
            Prediction(
                score=sure,
                probabilities={'choice': np.array([sure, 1 - sure])},
                embedding=np.full(width, number % 1000),
                **fields,
            ),
        )
        for number in task_ids
    ]


@pytest.fixture
def answer_store(tmp_path):
    return AnswerStore(tmp_path / 'store')


def test_what_is_appended_is_found(answer_store, tmp_path):
    answer_store.append(rows_of(answers([5, 3, 9])))
    answer_store.append(rows_of(answers([4])))
    found = answer_store.find(np.array([3, 4, 7, 9]))
    assert found.known.tolist() == [True, True, False, True]
    chosen = found.only(found.known)
    assert chosen.read('embedding', tmp_path)[:, 0].tolist() == [3, 4, 9]
    assert chosen.read('p:choice', tmp_path).tolist() == [[0.75, 0.25]] * 3
    assert answer_store.task_ids().tolist() == [3, 4, 5, 9]


def test_the_latest_row_of_a_task_counts_also_after_merging(answer_store, tmp_path):
    for sure in (0.25, 0.5, 0.75):
        answer_store.append(rows_of(answers([1, 2], sure)))
    answer_store.append(rows_of(answers([2], 1.0)))
    for _ in range(2):
        found = answer_store.find(np.array([1, 2]))
        assert found.read('score', tmp_path)[:, 0].tolist() == [0.75, 1.0]
        answer_store.merge()
    assert len(list(answer_store.folder.glob('*.answers'))) == 1


def test_many_small_files_become_few(answer_store):
    for number in range(200):
        answer_store.append(rows_of(answers([number])))
    assert len(list(answer_store.folder.glob('*.answers'))) <= store.MOST_PARTS
    assert answer_store.task_ids().tolist() == list(range(200))


def test_threads_and_mergers_lose_nothing(answer_store, monkeypatch):
    monkeypatch.setattr(store, 'MOST_PARTS', 3)
    failures = []

    def write(first):
        try:
            for number in range(first, first + 40):
                answer_store.append(rows_of(answers([number])))
                assert answer_store.find(np.array([number])).known.all()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(100 * place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(answer_store.task_ids()) == 240


def test_a_file_that_was_cut_off_or_changed_is_left_out(answer_store):
    answer_store.append(rows_of(answers([1])))
    [first] = answer_store.folder.glob('*.answers')
    first.write_bytes(first.read_bytes()[:-10])
    answer_store.append(rows_of(answers([2])))
    [second] = set(answer_store.folder.glob('*.answers')) - {first}
    answer_store.append(rows_of(answers([3])))
    content = bytearray(second.read_bytes())
    content[parts._ALIGNMENT] ^= 1
    second.write_bytes(content)
    assert answer_store.task_ids().tolist() == [3]
    assert not first.exists()
    assert not second.exists()


def test_a_write_that_fails_leaves_nothing(answer_store, monkeypatch):
    def full(self, *args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(parts.Path, 'rename', full)
    with pytest.raises(OSError, match='No space'):
        answer_store.append(rows_of(answers([1])))
    assert list(answer_store.folder.iterdir()) == []


def test_what_is_missing_or_of_another_width_is_not_a_number(answer_store, tmp_path):
    answer_store.append(rows_of([(1, Prediction(score=0.5)), *answers([2])]))
    answer_store.append(rows_of(answers([3], width=6)))
    answer_store.merge()
    found = answer_store.find(np.array([1, 2, 3]))
    assert np.isnan(found.read('embedding', tmp_path)).all(axis=1).tolist() == [True, True, False]
    assert np.isnan(found.read('p:choice', tmp_path)).all(axis=1).tolist() == [True, False, False]


def test_numbers_that_do_not_fit_stay_finite():
    rows = rows_of([(1, Prediction(embedding=np.array([1e9, -1e9, np.inf, 1e-9])))])
    largest = float(np.finfo(np.float16).max)
    np.testing.assert_array_equal(rows.dense['embedding'], [[largest, -largest, np.nan, 0.0]])


def test_scores_of_regions_are_kept(answer_store):
    def boxes(*scores):
        return [Region('box', 'image', 'rectanglelabels', {}, score) for score in scores]

    whole = [Region('choice', 'image', 'choices', {'choices': ['cat']}, 0.125)]
    said = [(1, boxes(0.5, 0.25)), (2, [*boxes(None), *whole]), (3, boxes(0.75))]
    answer_store.append(rows_of([(number, Prediction(regions)) for number, regions in said]))
    answer_store.append(rows_of(answers([4])))
    answer_store.merge()
    found = answer_store.find(np.array([1, 2, 3, 4]))
    offsets, values = found.only(np.array([True, False, True, True])).ragged('regions')
    assert (offsets.tolist(), values.tolist()) == ([0, 2, 3, 3], [0.5, 0.25, 0.75])


def test_large_columns_go_into_a_file(answer_store, tmp_path, monkeypatch):
    monkeypatch.setattr(selection, 'MOST_IN_MEMORY', 100)
    answer_store.append(rows_of(answers(range(50))))
    found = answer_store.find(np.arange(10, 60)).read('embedding', tmp_path)
    assert isinstance(found, np.memmap)
    assert found[:40, 0].tolist() == list(range(10, 50))
    assert np.isnan(found[40:]).all()


def test_what_was_said_of_a_changed_task_is_forgotten_until_it_is_answered_again(answer_store, tmp_path):
    answer_store.append(rows_of(answers([1, 2, 3], 0.25)))
    answer_store.forget(np.array([2, 7]))
    for _ in range(2):
        assert answer_store.find(np.array([1, 2, 3, 7])).known.tolist() == [True, False, True, False]
        assert answer_store.task_ids().tolist() == [1, 3]
        assert answer_store.forgotten().tolist() == [2]
        answer_store.merge()
    assert not len(answer_store.forgotten(time.time_ns()))
    answer_store.append(rows_of(answers([2], 1.0)))
    for _ in range(2):
        found = answer_store.find(np.array([1, 2, 3]))
        assert found.read('score', tmp_path)[:, 0].tolist() == [0.25, 1.0, 0.25]
        assert not len(answer_store.forgotten())
        answer_store.merge()
