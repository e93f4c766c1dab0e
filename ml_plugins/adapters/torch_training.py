"""A plain training loop for modules, enough for a head or a small network on a project's labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ml_plugins.adapters.targets import NUMBERS, Collected, collect
from ml_plugins.adapters.torch_module import SETTINGS, WEIGHTS
from ml_plugins.backend import Dataset, Run
from ml_plugins.exceptions import TrainingError
from ml_plugins.label_config import Control
from ml_plugins.torch_support import use_threads

if TYPE_CHECKING:
    from torch import Tensor

    from ml_plugins.adapters.torch_module import TorchBackend


def train(backend: TorchBackend, dataset: Dataset, run: Run) -> dict[str, float]:
    """Train a backend's module and leave it in the run's directory; inputs are kept in memory as tensors.

    Raises:
        TrainingError: There is nothing to learn from yet.
    """
    import torch
    from safetensors.torch import save_model

    backend.prepare()
    backend.device = run.device
    learned, held_out = collect(backend, dataset, run, backend.preprocess)
    _refuse_unknown(backend, learned)
    use_threads()
    backend.build()
    values = backend.param_values
    run.log(f'{len(learned)} labeled tasks to learn from, {len(held_out)} held out, on {backend.torch_device}')
    optimizer = torch.optim.AdamW(
        (weight for weight in backend.model.parameters() if weight.requires_grad), lr=values['learning_rate']
    )
    order = torch.Generator().manual_seed(run.seed)
    total, done = values['epochs'] * len(learned), 0
    for _epoch in range(values['epochs']):
        backend.model.train()
        for rows in torch.randperm(len(learned), generator=order).split(values['batch_size']):
            loss = _loss(backend, learned, rows.tolist())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += len(rows)
            run.progress(done, total, loss=float(loss.detach()))
    backend.model.eval()
    (run.directory / SETTINGS).write_text(
        json.dumps({'labels': list(backend.names)}, ensure_ascii=False), encoding='utf-8'
    )
    save_model(backend.model, str(run.directory / WEIGHTS))
    sizes = {'train_size': float(len(learned)), 'held_out_size': float(len(held_out))}
    return {**sizes, **_measured(backend, held_out)}


def _refuse_unknown(backend: TorchBackend, learned: Collected) -> None:
    """Refuse labels that the module has no output for. Raises `TrainingError`."""
    if backend.control.type in NUMBERS:
        return
    known = {backend.naming.matcher.match(name) for name in backend.names}
    given = {label for target in learned.targets for label in ([target] if isinstance(target, str) else target)}
    if given - known:
        listed = ', '.join(f'"{label}"' for label in sorted(given - known))
        raise TrainingError(
            f'Tasks are labeled {listed}, and the module has no output for that: its labels are '
            f'{", ".join(backend.names)}'
        )


def usual_loss(control: Control, outputs: Any, targets: Tensor) -> Tensor:
    """See `TorchBackend.loss`."""
    from torch.nn import functional

    logits = outputs['logits'] if isinstance(outputs, dict) else outputs
    if control.type in NUMBERS:
        return functional.mse_loss(logits.reshape(-1), targets)
    if control.is_multiple:
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)


def _loss(backend: TorchBackend, learned: Collected, rows: Sequence[int]) -> Tensor:
    outputs = backend.forward(backend.collate([learned.inputs[row] for row in rows]))
    targets = _targets(backend, [learned.targets[row] for row in rows])
    return backend.loss(outputs, targets.to(backend.torch_device))


def _targets(backend: TorchBackend, targets: Sequence[Any]) -> Tensor:
    import torch

    if backend.control.type in NUMBERS:
        return torch.tensor(targets, dtype=torch.float32)
    place_of = {backend.naming.matcher.match(name): place for place, name in enumerate(backend.names)}
    if not backend.control.is_multiple:
        return torch.tensor([place_of[target] for target in targets])
    rows = torch.zeros(len(targets), len(backend.names))
    for row, labels in enumerate(targets):
        rows[row, [place_of[label] for label in labels]] = 1
    return rows


def _measured(backend: TorchBackend, held_out: Collected) -> dict[str, float]:
    """Accuracy, of numbers the mean absolute error; nothing where nothing is held out."""
    if not held_out.inputs:
        return {}
    values = list(_values(backend, held_out))
    if backend.control.type in NUMBERS:
        return {'mean_absolute_error': sum(abs(said - truth) for said, truth in values) / len(values)}
    return {'accuracy': sum(said == truth for said, truth in values) / len(values)}


def _values(backend: TorchBackend, held_out: Collected) -> Iterator[tuple[Any, Any]]:
    """What the module says about each held-out task, and what people say."""
    import torch

    size = backend.param_values['batch_size']
    for start in range(0, len(held_out), size):
        with torch.inference_mode():
            outputs = backend.forward(backend.collate(held_out.inputs[start : start + size]))
        logits = outputs['logits'] if isinstance(outputs, dict) else outputs
        truths = _targets(backend, held_out.targets[start : start + size])
        for row, truth in zip(logits.cpu(), truths, strict=True):
            if backend.control.type in NUMBERS:
                yield float(row), float(truth)
            elif backend.control.is_multiple:
                yield (row > 0).tolist(), truth.bool().tolist()
            else:
                yield int(row.argmax()), int(truth)
