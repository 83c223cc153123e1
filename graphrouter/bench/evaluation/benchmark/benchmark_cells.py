"""The cells of a benchmark, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from graphrouter.bench.evaluation.grid import GridCell, GridResult, read_cell, write_cell
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.router_output import Replayed, RouterOutput
from graphrouter.policy import PRESETS
from graphrouter.types import QUANTITIES, Predictions

MAIN = "graphrouter"
"""Name of the graph router, which everybody else is compared with."""
_REPLAYED = Replayed._fields


class Cell(GridCell):
    """The graph router, or a baseline, on one split."""

    @property
    def has_network(self) -> bool:
        """Whether it is the graph router."""
        return self.router == MAIN


@dataclass(frozen=True, eq=False)
class CellResult(GridResult):
    """What a router predicts for all test queries, in every setting."""

    predict_s: float = float("nan")
    """Seconds for all test queries in all settings."""
    outputs: Mapping[SettingName, RouterOutput] | None = None

    def save(self, file: Path) -> None:
        """Write the result to `file`, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {}
        for setting, output in (self.outputs or {}).items():
            arrays |= {
                f"{setting}.{name}": getattr(output.predictions, name) for name in QUANTITIES
            }
            for preset, utility in (output.preset_utilities or {}).items():
                arrays[f"{setting}.preset.{preset}"] = utility
            if output.replayed is not None:
                arrays |= {
                    f"{setting}.replayed.{name}": getattr(output.replayed, name)
                    for name in _REPLAYED
                }
        models = next(iter(self.outputs.values())).predictions.models if self.outputs else ()
        told = {
            "status": self.status,
            "message": self.message,
            "fit_s": self.fit_s,
            "predict_s": self.predict_s,
        }
        write_cell(file, told, models=models, arrays=arrays)

    @classmethod
    def load(cls, file: Path, *, with_outputs: bool = True) -> CellResult | None:
        """The result in `file`.

        None when there is none, or none that can be read: it is then computed again.
        """
        stored = read_cell(file, with_arrays=with_outputs)
        if stored is None:
            return None
        outputs = {
            setting: _output(stored.arrays, setting, stored.models)
            for setting in cast(tuple[SettingName, ...], ("task_known", "task_hidden"))
            if f"{setting}.effect" in stored.arrays
        }
        return cls(**stored.told, outputs=outputs or None)


def _output(
    arrays: Mapping[str, NDArray[Any]], setting: str, models: tuple[str, ...]
) -> RouterOutput:
    predictions = Predictions(models, *(arrays[f"{setting}.{name}"] for name in QUANTITIES))
    utilities = {
        preset: arrays[f"{setting}.preset.{preset}"]
        for preset in PRESETS
        if f"{setting}.preset.{preset}" in arrays
    }
    if f"{setting}.replayed.effect" not in arrays:
        return RouterOutput(predictions, preset_utilities=utilities or None)
    known = {
        name: arrays[f"{setting}.replayed.{name}"]
        for name in _REPLAYED
        if f"{setting}.replayed.{name}" in arrays
    }
    # An earlier release did not count calls.
    known.setdefault("num_calls", np.full(known["effect"].shape, np.nan))
    return RouterOutput(predictions, Replayed(**known))
