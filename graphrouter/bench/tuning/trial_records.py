"""One finished trial as plain values: for results, for reports, for tracking elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from graphrouter.bench.tuning.search_space import Value

TrialState = Literal["complete", "pruned", "failed"]


class EpochFigures(NamedTuple):
    """What the validation after an epoch said."""

    epoch: int
    """From 1 on."""
    log_loss: float
    reward: float
    train_effect: float
    """Cross entropy of the effect in the last episode; NaN where it was not logged."""


@dataclass(frozen=True)
class TrialRecord:
    """A trial that has come to an end.

    Example:
        >>> record = TrialRecord(3, "complete", {"network.dropout": 0.2}, {"log_loss": 0.51})
        >>> record.number, record.values["log_loss"]
        (3, 0.51)
    """

    number: int
    """From 0 on; trials that were given up leave gaps."""
    state: TrialState
    """`pruned`: stopped early, since others were better by then. `failed`: its training diverged,
    or ran out of memory."""
    params: Mapping[str, Value]
    """The tuned settings, by dotted name."""
    values: Mapping[str, float]
    """The objectives, by name; empty unless it is complete."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """`log_loss`, `reward`, `objective` on validation queries and `best_epoch`, as far as it got
    there."""
    epochs: tuple[EpochFigures, ...] = ()
    """One entry an epoch, in order."""
    seconds: float = 0.0
    is_start: bool = False
    """True for the settings that the study began with."""
    message: str = ""
    """Why it failed; else empty."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, without NaN and infinities."""
        return {
            "number": self.number,
            "state": self.state,
            "is_start": self.is_start,
            "values": _finite(self.values),
            "params": dict(self.params),
            "metrics": _finite(self.metrics),
            "epochs": [_finite(each._asdict()) for each in self.epochs],
            "seconds": round(self.seconds, 2),
            **({"message": self.message} if self.message else {}),
        }


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
