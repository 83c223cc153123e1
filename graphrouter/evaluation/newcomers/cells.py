"""One router on one split with some models, or one task, held out: the unit of work, of failure and of resumption."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from graphrouter.config import TrainConfig
from graphrouter.evaluation.benchmark.cells import MAIN, Status, cell_digest
from graphrouter.evaluation.contender import Contender
from graphrouter.evaluation.newcomers.shots import Shots
from graphrouter.files import replace_file
from graphrouter.types import FloatArray, Predictions

SUGGESTED = "graphrouter_suggested"
"""The graph router that is shown the outcomes of the probes that it suggests."""
RETRAINED = "graphrouter_retrained"
"""The graph router that is trained with everything; it stands for all numbers of shots."""
REFERENCE = "rasch"
"""The baseline that `learned_share` starts from."""
HoldOut = Literal["models", "tasks"]
Entry = tuple[str, str]
"""Who was asked, and after how many outcomes: name and label of the shot."""
_ENDS = ("effect_low", "effect_high")


@dataclass(frozen=True)
class NewcomerCell:
    """What is to be fitted, shown newcomers and asked."""

    data: str
    """Folder of the dataset, or `simulated`."""
    fingerprint: str
    """Contents of the dataset."""
    router: str
    """`graphrouter`, `graphrouter_retrained` or the name of a baseline."""
    config: TrainConfig
    """Settings of this seed."""
    hold_out: HoldOut
    share: float
    """Share of the models that is held out."""
    task: str | None
    """The task that is held out; None where models are, and for the retrained router."""
    shots: Shots
    file: Path
    """Where the result is kept."""

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
        """The cell of one seed: it divides the data, picks who is held out, and seeds whatever the router draws."""
        split = config.split.model_copy(update={"seed": seed})
        settings = config.model_copy(update={"seed": seed, "split": split})
        # Whoever is trained with everything knows of no one who is held out.
        more = ["newcomers"] if router == RETRAINED else ["newcomers", hold_out, share, task, shots]
        digest = cell_digest(fingerprint, router, settings, has_network=router in (MAIN, RETRAINED), more=more)
        file = folder / f"{name}-{fingerprint[:8]}" / f"seed{seed}" / f"{router}-{digest[:12]}.safetensors"
        return cls(data, fingerprint, router, settings, hold_out, share, task, shots, file)

    @property
    def seed(self) -> int:
        """Seed of the split, of who is held out, and of the router."""
        return self.config.split.seed


@dataclass(frozen=True, eq=False)
class NewcomerResult:
    """What came of a cell."""

    status: Status
    message: str = ""
    """Why there is no result; empty for a cell that is done."""
    fit_s: float = float("nan")
    """Seconds to fit what the newcomers join; NaN where every shot is a fit of its own."""
    join_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds in which the newcomers joined, by `NAME@SHOT`."""
    answers: Mapping[Entry, Contender] | None = None
    """Expected effect, where known with its interval, and cost of all test queries, in the order of their ids, and all models, in
    the order of the dataset."""

    def save(self, file: Path) -> None:
        """Nothing; the result lies in `file` afterwards, whole or not at all. Numbers are kept in single precision."""
        arrays: dict[str, NDArray[np.float32]] = {"cell": np.zeros(1, dtype=np.float32)}  # an empty file is not accepted
        models: tuple[str, ...] = ()
        for (name, shot), contender in (self.answers or {}).items():
            models = contender.predictions.models
            # In rows: safetensors writes memory as it lies, and columns picked from an array lie one after the other.
            arrays[f"{name}@{shot}.effect"] = np.ascontiguousarray(contender.predictions.effect, dtype=np.float32)
            arrays[f"{name}@{shot}.cost_usd"] = np.ascontiguousarray(contender.predictions.cost_usd, dtype=np.float32)
            for end in _ENDS:
                values = getattr(contender.predictions, end)
                if values is not None:
                    arrays[f"{name}@{shot}.{end}"] = np.ascontiguousarray(values, dtype=np.float32)
        told = {"status": self.status, "message": self.message, "fit_s": self.fit_s, "join_s": dict(self.join_s)}
        metadata = {"cell": json.dumps(told), "models": json.dumps(models)}
        replace_file(file, lambda partial: save_file(arrays, partial, metadata=metadata))

    @classmethod
    def load(cls, file: Path, *, with_answers: bool = True) -> NewcomerResult | None:
        """The result in `file`; None when there is none, or none that can be read: it is then computed again."""
        try:
            with safe_open(file, framework="numpy") as stored:
                metadata = stored.metadata()
                names = list(stored.keys()) if with_answers else []
                arrays = {name: stored.get_tensor(name).astype(np.float64) for name in names if "@" in name}
        except (FileNotFoundError, SafetensorError):
            return None
        models = tuple(json.loads(metadata["models"]))
        answers = {_entry(key): Contender(_predictions(models, _stem(key), arrays)) for key in arrays if key.endswith(".effect")}
        return cls(**json.loads(metadata["cell"]), answers=answers or None)


def _predictions(models: tuple[str, ...], stem: str, arrays: Mapping[str, FloatArray]) -> Predictions:
    low, high = (arrays.get(f"{stem}.{end}") for end in _ENDS)
    effect, cost_usd = arrays[f"{stem}.effect"], arrays[f"{stem}.cost_usd"]
    return Predictions.from_arrays(models, effect, cost_usd=cost_usd, effect_low=low, effect_high=high)


def _stem(key: str) -> str:
    return key.rpartition(".")[0]


def _entry(key: str) -> Entry:
    name, _, shot = _stem(key).rpartition("@")
    return name, shot
