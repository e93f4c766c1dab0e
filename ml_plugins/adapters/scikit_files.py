"""A trained estimator as a file that runs nothing while it is read.

An estimator is usually kept with joblib, i.e. as a pickle, and whoever made a pickle says what is run when it is
loaded; so the server refuses one in a version that somebody uploads. skops keeps the same as JSON and arrays and builds
only types that are known to be harmless, or that the author of the backend has named.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ml_plugins.exceptions import ModelVersionError, TrainingError

MODEL = 'model.skops'
# Compiled types of scikit-learn that hold numbers and nothing else; skops leaves them to its users.
_HARMLESS = frozenset(
    {
        'sklearn.ensemble._hist_gradient_boosting.binning._BinMapper',
        'sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor',
        'sklearn.metrics._dist_metrics.EuclideanDistance64',
        'sklearn.neighbors._ball_tree.BallTree',
        'sklearn.neighbors._kd_tree.KDTree',
        'sklearn.neural_network._stochastic_optimizers.AdamOptimizer',
        'sklearn.neural_network._stochastic_optimizers.SGDOptimizer',
        'sklearn.tree._tree.Tree',
    }
)


def save(directory: Path, model: Any) -> None:
    """Write a trained estimator. Raises `TrainingError` when it holds what cannot be kept."""
    from skops import io

    try:
        io.dump(model, directory / MODEL)
    except Exception as error:
        raise TrainingError(
            f'the trained {type(model).__name__} cannot be kept: {type(error).__name__}: {error}. Use functions and '
            'classes of a module, not such as are defined inside a function'
        ) from error


def load(directory: Path, trusted: Collection[str] = ()) -> Any:
    """Read what `save` wrote.

    Args:
        trusted: Full names of types to build besides those that are known to be harmless.

    Raises:
        ModelVersionError: The file is missing or damaged, or it holds types that are not trusted.
    """
    from skops import io

    path = directory / MODEL
    try:
        unknown = set(io.get_untrusted_types(file=path))
        refused = sorted(unknown - _HARMLESS - set(trusted))
        if not refused:
            return io.load(path, trusted=sorted(unknown))
    except Exception as error:
        raise ModelVersionError(f'{path} cannot be loaded: {type(error).__name__}: {error}') from error
    raise ModelVersionError(
        f'{path} holds types that are not known to be harmless: {", ".join(refused)}. If this backend uses them, name '
        'them in SklearnBackend.trusted'
    )
