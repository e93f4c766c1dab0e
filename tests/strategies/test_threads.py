"""Matrix products stay on one thread while somebody asks for it, and get theirs back afterwards."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from ml_plugins.strategies.threads import FEW, one_thread


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    libraries = ThreadpoolController().select(user_api='blas').info()
    # Other packages of the process bring libraries of their own, some with one thread whatever is asked for.
    return {library['num_threads'] for library in libraries if 'numpy' in library['filepath']}


@pytest.fixture
def two_threads():
    with threadpool_limits(2, 'blas'):
        assert blas_threads() == {2}
        yield


def test_inside_there_is_one_and_outside_as_many_as_before(two_threads):
    with one_thread(FEW):
        assert blas_threads() == {1}
        with one_thread(FEW):
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_an_error_gives_them_back(two_threads):
    with pytest.raises(ValueError, match='oh'), one_thread(FEW):
        raise ValueError('oh')
    assert blas_threads() == {2}


def test_a_second_thread_leaves_nothing_behind(two_threads):
    entered, leave, seen = threading.Event(), threading.Event(), []

    def work():
        with one_thread(FEW):
            seen.append(blas_threads())
            entered.set()
            leave.wait(10)

    other = threading.Thread(target=work)
    with one_thread(FEW):
        other.start()
        assert entered.wait(10)
    leave.set()
    other.join(10)
    assert seen == [{1}]
    assert blas_threads() == {2}


def test_few_rows_are_left_alone(two_threads):
    with one_thread(FEW - 1):
        assert blas_threads() == {2}
