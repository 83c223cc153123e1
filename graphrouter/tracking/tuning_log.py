"""Trials of a search as runs below the run of the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphrouter.tracking.tracked_run import TrackedRun

_STATUS = {"complete": "FINISHED", "pruned": "KILLED"}
_NO_EPOCHS: Mapping[int, Mapping[str, float]] = {}


def log_trial(
    run: TrackedRun,
    *,
    number: int,
    params: Mapping[str, Any],
    values: Mapping[str, float],
    state: str,
    seconds: float | None = None,
    epochs: Mapping[int, Mapping[str, float]] = _NO_EPOCHS,
    message: str = "",
) -> None:
    """Log a finished trial as a run of its own below `run`, with its state as a tag.

    Args:
        run: Of the search.
        number: Of the trial.
        params: Settings that the trial tried, by dotted name.
        values: Objectives and other figures by name; empty or NaN where the trial has none.
        state: complete, pruned or failed, in capitals or not.
        seconds: How long it took.
        epochs: Figures by the number of the epoch, from 1, then by name.
        message: Why it failed.

    Example:
        >>> from graphrouter.tracking import TrackedRun
        >>> params, values = {"network.width": 8}, {"log_loss": 0.5}
        >>> log_trial(TrackedRun.off(), number=0, params=params, values=values, state="complete")
    """
    if not run.is_on:
        return
    child = run.open_child(
        f"trial {number}", tags={"trial.number": str(number), "trial.state": state.lower()}
    )
    child.log_params(params)
    for epoch, figures in epochs.items():
        child.log_metrics(figures, step=epoch)
    child.log_metrics(values if seconds is None else {**values, "seconds": seconds})
    if message:
        child.describe(message)
    child.close(_STATUS.get(state.lower(), "FAILED"))
