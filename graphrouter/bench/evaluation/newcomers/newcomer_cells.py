"""The cells of a comparison on newcomers, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.grid import GridCell, GridResult, read_cell, set_seeds, write_cell
from graphrouter.bench.evaluation.newcomers.shots import Shots
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.config import TrainConfig
from graphrouter.policy import PRESETS, PresetName
from graphrouter.types import FloatArray, Predictions

SUGGESTED = "graphrouter_suggested"
"""The graph router that is shown the outcomes of the probes that it suggests."""
RETRAINED = "graphrouter_retrained"
"""The graph router that is trained with everything; it stands for all numbers of shots."""
REFERENCE = "rasch"
"""The baseline that `learned_share` starts from."""
HoldOut = Literal["models", "tasks"]
OutputKey = tuple[str, str]
"""Who was asked, and after how many outcomes: name and label of the shot."""
_ENDS = ("effect_low", "effect_high")


@dataclass(frozen=True)
class NewcomerCell(GridCell):
    """One router on one split with some models, or one task, held out.

    The router is `graphrouter`, `graphrouter_retrained` or a baseline.
    """

    hold_out: HoldOut
    share: float
    """Share of the models that is held out."""
    task: str | None
    """The task that is held out; None where models are, and for the retrained router."""
    shots: Shots

    @classmethod
    def of(
        cls,
        data: str,
        *,
        name: str,
        fingerprint: str,
        router: str,
        seed: int,
        config: TrainConfig,
        hold_out: HoldOut,
        share: float,
        task: str | None,
        shots: Shots,
        folder: Path,
    ) -> NewcomerCell:
        """The cell of one seed.

        The seed divides the data, picks who is held out, and seeds whatever the router draws.
        """
        return cls(
            data,
            name,
            fingerprint,
            router,
            set_seeds(config, seed),
            folder,
            hold_out,
            share,
            task,
            shots,
        )

    @property
    def has_network(self) -> bool:
        """Whether it is a graph router."""
        return self.router in (MAIN, RETRAINED)

    @property
    def circumstances(self) -> Sequence[object]:
        """Who is held out, and what is shown.

        Whoever is trained with everything knows of no one who is held out.
        """
        held_out = (
            () if self.router == RETRAINED else (self.hold_out, self.share, self.task, self.shots)
        )
        return ("newcomers", *held_out)


@dataclass(frozen=True, eq=False)
class NewcomerResult(GridResult):
    """What a router predicts for all test queries, after more and more outcomes."""

    join_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds in which the newcomers joined, by `NAME@SHOT`."""
    outputs: Mapping[OutputKey, RouterOutput] | None = None
    """Expected effect, where known with its interval, cost, and what is maximised in each preset
    where that is no policy, of all test queries, in the order of their ids, and all models, in the
    order of the dataset."""

    def save(self, file: Path) -> None:
        """Write the result to `file`, whole or not at all.

        Numbers are kept in single precision.
        """
        arrays: dict[str, NDArray[np.float32]] = {}
        models: tuple[str, ...] = ()
        for (name, shot), output in (self.outputs or {}).items():
            models = output.predictions.models
            arrays[f"{name}@{shot}.effect"] = output.predictions.effect.astype(np.float32)
            arrays[f"{name}@{shot}.cost_usd"] = output.predictions.cost_usd.astype(np.float32)
            for end in _ENDS:
                values = getattr(output.predictions, end)
                if values is not None:
                    arrays[f"{name}@{shot}.{end}"] = values.astype(np.float32)
            for preset, utility in (output.preset_utilities or {}).items():
                arrays[f"{name}@{shot}.preset.{preset}"] = utility.astype(np.float32)
        told = {
            "status": self.status,
            "message": self.message,
            "fit_s": self.fit_s,
            "join_s": dict(self.join_s),
        }
        write_cell(file, told, models=models, arrays=arrays)

    @classmethod
    def load(cls, file: Path, *, with_outputs: bool = True) -> NewcomerResult | None:
        """The result in `file`.

        None when there is none, or none that can be read: it is then computed again.
        """
        stored = read_cell(file, with_arrays=with_outputs)
        if stored is None:
            return None
        arrays = {key: array.astype(np.float64) for key, array in stored.arrays.items()}
        outputs = {
            _key(key): RouterOutput(
                _predictions(stored.models, _stem(key), arrays),
                preset_utilities=_utilities(_stem(key), arrays),
            )
            for key in arrays
            if key.endswith(".effect")
        }
        return cls(**stored.told, outputs=outputs or None)


def _predictions(
    models: tuple[str, ...], stem: str, arrays: Mapping[str, FloatArray]
) -> Predictions:
    low, high = (arrays.get(f"{stem}.{end}") for end in _ENDS)
    effect, cost_usd = arrays[f"{stem}.effect"], arrays[f"{stem}.cost_usd"]
    return Predictions.from_arrays(
        models, effect, cost_usd=cost_usd, effect_low=low, effect_high=high
    )


def _utilities(
    stem: str, arrays: Mapping[str, FloatArray]
) -> Mapping[PresetName, FloatArray] | None:
    found = {preset: arrays.get(f"{stem}.preset.{preset}") for preset in PRESETS}
    return {preset: each for preset, each in found.items() if each is not None} or None


def _stem(key: str) -> str:
    return key.rpartition(".")[0]


def _key(key: str) -> OutputKey:
    name, _, shot = _stem(key).rpartition("@")
    return name, shot
