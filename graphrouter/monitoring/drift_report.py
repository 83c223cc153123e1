"""What a check for drift says: a comparison for each model and each task, as plain values too."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["changed", "as expected", "too few to tell"]


@dataclass(frozen=True)
class Comparison:
    """Observed effect against expected effect of some outcomes.

    NaN where there are too few of them to test.
    """

    name: str
    """The model or the task; empty where the task is unknown."""
    num_outcomes: int
    expected: float
    """Mean effect that the router lets expect, its usual error and the shift common to all models
    included."""
    observed: float
    """Mean observed effect."""
    difference: float
    """observed - expected."""
    low: float
    """Lower end of the interval of the difference at 1 - level, for this comparison alone."""
    high: float
    """Upper end of the interval."""
    p_value: float
    """Adjusted for all comparisons of the report; to be compared with the level."""
    verdict: Verdict


@dataclass(frozen=True)
class ModelCheck:
    """A model over all tasks and on each of them."""

    overall: Comparison
    tasks: tuple[Comparison, ...]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.overall.name

    @property
    def changed_tasks(self) -> tuple[Comparison, ...]:
        """The tasks on which the model has changed."""
        return tuple(task for task in self.tasks if task.verdict == "changed")

    @property
    def verdict(self) -> Verdict:
        """Changed where it has, over all tasks or on one of them."""
        return "changed" if self.changed_tasks else self.overall.verdict


@dataclass(frozen=True)
class DriftReport:
    """What new outcomes say about the models of a router."""

    models: tuple[ModelCheck, ...]
    """The models with outcomes, in pool order."""
    tasks: tuple[Comparison, ...]
    """All models together on each task: a change here is of the prompts or of their grades, not of
    a model."""
    common_shift: float
    """Difference of observed and expected effect that the models have in common; it counts for no
    model."""
    level: float
    num_repeated: int
    """Outcomes that were compared with the known outcome of the same model on the same prompt."""
    num_left_out: int
    """Outcomes on prompts that the router knows from other models: nothing to compare them with."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The models that have changed and should be refreshed."""
        return tuple(check.model for check in self.models if check.verdict == "changed")

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        models = [
            {
                "model": check.model,
                **_plain(check.overall),
                "verdict": check.verdict,
                "tasks": [{"task": task.name, **_plain(task)} for task in check.tasks],
            }
            for check in self.models
        ]
        return {
            "changed": list(self.changed),
            "level": self.level,
            "common_shift": self.common_shift,
            "num_repeated": self.num_repeated,
            "num_left_out": self.num_left_out,
            "models": models,
            "tasks": [{"task": task.name, **_plain(task)} for task in self.tasks],
        }


def _plain(comparison: Comparison) -> dict[str, Any]:
    """The figures of a comparison, without its name; None where NaN."""
    values = {
        field.name: getattr(comparison, field.name)
        for field in dataclasses.fields(comparison)
        if field.name != "name"
    }
    return {name: None if value != value else value for name, value in values.items()}
