"""What a study found, which trial is taken, and what that is worth in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphrouter.bench.tuning.objectives import Objective
from graphrouter.bench.tuning.search_space import SearchSpace
from graphrouter.bench.tuning.trial_records import TrialRecord
from graphrouter.config import TrainConfig
from graphrouter.wording import count_of


@dataclass(frozen=True)
class TuningResult:
    """All finished trials of a study, those of other workers too."""

    dataset: str
    study: str
    """Name of the study."""
    storage: str
    """Where the study is kept, without its password; empty for one in memory."""
    objectives: tuple[Objective, ...]
    space: SearchSpace
    start_config: TrainConfig
    """The settings that the study began with."""
    trials: tuple[TrialRecord, ...]
    """In order of their numbers."""
    num_running: int = 0
    """Trials that other workers have not finished yet."""
    importances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Share of each setting in what the trials differ by, largest first, for each objective; none
    with too few trials."""

    @property
    def completed(self) -> tuple[TrialRecord, ...]:
        """The trials that have values."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def start(self) -> TrialRecord | None:
        """The trial of the settings that the study began with; None where it has no values."""
        return next((trial for trial in self.completed if trial.is_start), None)

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """The trials that no other one beats in an objective without losing in another.

        The Pareto front.
        """
        return tuple(
            one
            for one in self.completed
            if not any(dominates(other, one, self.objectives) for other in self.completed)
        )

    @cached_property
    def chosen(self) -> TrialRecord | None:
        """The trial whose settings to take; None where no trial has values.

        With one objective the best one. With several, of the trials of the front that are in no
        objective worse than the settings that the study began with, the one that is best in the
        first objective. Among equals the first, so that what is no better than these settings does
        not replace them.
        """
        start = self.start
        candidates = [
            trial
            for trial in self.front
            if start is None
            or not any(
                each.is_better(start.values[each.name], trial.values[each.name])
                for each in self.objectives
            )
        ]
        first = self.objectives[0]
        ranked = sorted(candidates, key=lambda trial: (not trial.is_start, trial.number))
        return min(ranked, key=lambda trial: _loss(trial, first), default=None)

    @property
    def improved(self) -> bool:
        """Whether the chosen trial is better than the settings that the study began with."""
        start, chosen = self.start, self.chosen
        return (
            start is not None and chosen is not None and dominates(chosen, start, self.objectives)
        )

    @property
    def config(self) -> TrainConfig:
        """The settings to train with: of the chosen trial, or those that the study began with."""
        if self.chosen is None:
            return self.start_config
        return self.space.apply(self.start_config, self.chosen.params)

    @property
    def start_name(self) -> str:
        """What the settings are called that the study began with."""
        return (
            "the default settings" if self.start_config == TrainConfig() else "the given settings"
        )

    @property
    def verdict(self) -> str:
        """Whether tuning was worth it, in one sentence."""
        start, chosen = self.start, self.chosen
        if chosen is None:
            return "No trial has a result."
        if start is None:
            best = (
                f"Trial {chosen.number} is the best of {len(self.trials)}: {self._figures(chosen)}"
            )
            return f"{best}; {self.start_name} have no result."
        if not self.improved:
            where = (
                ""
                if len(self.objectives) == 1
                else " in one objective without being worse in another"
            )
            return f"No trial was better than {self.start_name}{where} ({self._figures(start)})."
        changes = " and ".join(
            f"{each.title} from {start.values[each.name]:.4f} to {chosen.values[each.name]:.4f}"
            for each in self.objectives
            if start.values[each.name] != chosen.values[each.name]
        )
        return (
            f"The best of {count_of(len(self.trials), 'trial')} improves the validation {changes}."
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        chosen = self.chosen
        return {
            "dataset": self.dataset,
            "study": self.study,
            "storage": self.storage,
            "objectives": [
                {"name": each.name, "direction": each.direction} for each in self.objectives
            ],
            "verdict": self.verdict,
            "improved": self.improved,
            "chosen": None if chosen is None else chosen.number,
            "front": [trial.number for trial in self.front],
            "config": self.config.model_dump(mode="json"),
            "start_config": self.start_config.model_dump(mode="json"),
            "space": self.space.to_json(),
            "importances": {name: dict(shares) for name, shares in self.importances.items()},
            "num_running": self.num_running,
            "trials": [trial.to_json() for trial in self.trials],
        }

    def _figures(self, trial: TrialRecord) -> str:
        return ", ".join(
            f"validation {each.title} {trial.values[each.name]:.4f}" for each in self.objectives
        )


def dominates(one: TrialRecord, other: TrialRecord, objectives: Sequence[Objective]) -> bool:
    """Whether one trial is better than the other in an objective and worse in none."""
    pairs = [(each, one.values[each.name], other.values[each.name]) for each in objectives]
    return any(each.is_better(a, b) for each, a, b in pairs) and not any(
        each.is_better(b, a) for each, a, b in pairs
    )


def _loss(trial: TrialRecord, objective: Objective) -> float:
    value = trial.values[objective.name]
    return value if objective.direction == "minimize" else -value
