"""How much one process may hold and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuntimeLimits:
    """Limits of one process.

    Attributes:
        models: Resident models kept; the least recently used idle one leaves first.
        predict_seconds: How long one call of ``predict`` may take before the model counts as hanging.
        setup_seconds: How long loading may take.
        breaker_failures: Failures in a row that open the circuit breaker.
        breaker_seconds: How long it stays open.
        queue: Tasks of each priority that may wait for one model, so that bulk work never fills the room of people.
        memory_bytes: Memory that resident models may take together; 0 for no budget.
        niceness: How far threads of models, and those that they start, give way to others, 0..19, on Linux.
    """

    models: int = 4
    predict_seconds: float = 60.0
    setup_seconds: float = 300.0
    breaker_failures: int = 3
    breaker_seconds: float = 60.0
    queue: int = 10000
    memory_bytes: int = 0
    niceness: int = 0
