"""What a study is about, checked before anything is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphrouter.bench.tuning.objectives import Objective, find_objectives
from graphrouter.bench.tuning.search_space import SearchSpace, Value, build_default_space
from graphrouter.bench.tuning.tuning_data import TuningData
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.data.schema import check_is_dataset
from graphrouter.exceptions import ConfigError


@dataclass(frozen=True, eq=False)
class TuningPlan:
    """What a study is about."""

    data: TuningData
    """The data, and its division."""
    config: TrainConfig
    """The settings that the study begins with."""
    space: SearchSpace
    objectives: tuple[Objective, ...]
    start: Mapping[str, Value]
    """The tuned settings as they are in `config`: the first trial."""

    @property
    def can_prune(self) -> bool:
        """Whether trials can be stopped early.

        Optuna prunes by one figure an epoch, and the area is computed at the end only.
        """
        return len(self.objectives) == 1 and self.objectives[0].watched is not None


def plan_tuning(
    data: RoutingDataset,
    config: TrainConfig | None = None,
    *,
    objectives: Sequence[str] = ("log_loss",),
    space: SearchSpace | None = None,
    split: Split | None = None,
) -> TuningPlan:
    """What a study of these settings is about, with the data encoded.

    The arguments are those of `tune`.

    Raises:
        ConfigError: An objective is unknown, a setting lies outside of the space, or several
            devices are asked for.
        DataError: `data` is no dataset, or there are too few queries to split.
        NotApplicableError: The area is to be tuned, and there are no costs.
    """
    settings = config or TrainConfig()
    check_is_dataset(data, "tune")
    if settings.training.devices > 1:
        raise ConfigError(
            f"tune received training.devices = {settings.training.devices}; expected 1. Start "
            "several workers on one study."
        )
    wanted = find_objectives(objectives)
    chosen = space or build_default_space()
    start = chosen.start(settings)
    prepared = TuningData(data, split or split_dataset(data, settings.split), settings)
    prepared.prepare(settings.encoder)
    if any(each.name == "area" for each in wanted):
        prepared.check_area()
    return TuningPlan(prepared, settings, chosen, wanted, start)
