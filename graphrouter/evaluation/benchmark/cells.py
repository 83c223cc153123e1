"""One router on one split of one dataset: the unit of work, of failure and of resumption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from graphrouter import __version__
from graphrouter.config import TrainConfig
from graphrouter.evaluation.contender import Contender, Replayed
from graphrouter.evaluation.results import SettingName
from graphrouter.files import replace_file
from graphrouter.policy import PRESETS
from graphrouter.routers.observations import QUANTITIES
from graphrouter.types import Predictions

MAIN = "graphrouter"
"""Name of the graph router, which everybody else is compared with."""
Status = Literal["done", "failed", "not_applicable"]
_FORMAT = 1
_REPLAYED = ("cost_usd", "effect", "answered")


@dataclass(frozen=True)
class Cell:
    """What is to be fitted and asked."""

    data: str
    """Folder of the dataset, or `simulated`."""
    fingerprint: str
    """Contents of the dataset."""
    router: str
    """`graphrouter` or the name of a baseline."""
    config: TrainConfig
    """Settings of this seed."""
    file: Path
    """Where the result is kept."""

    @classmethod
    def of(cls, data: str, *, name: str, fingerprint: str, router: str, seed: int, config: TrainConfig, folder: Path) -> Cell:
        """The cell of one seed: it divides the data, and seeds whatever the router draws."""
        split = config.split.model_copy(update={"seed": seed})
        settings = config.model_copy(update={"seed": seed, "split": split})
        identity = cell_digest(fingerprint, router, settings, has_network=router == MAIN)
        file = folder / f"{name}-{fingerprint[:8]}" / f"seed{seed}" / f"{router}-{identity[:12]}.safetensors"
        return cls(data, fingerprint, router, settings, file)

    @property
    def seed(self) -> int:
        """Seed of the split and of the router."""
        return self.config.split.seed


@dataclass(frozen=True, eq=False)
class CellResult:
    """What came of a cell."""

    status: Status
    message: str = ""
    """Why there is no result; empty for a cell that is done."""
    fit_s: float = float("nan")
    predict_s: float = float("nan")
    """Seconds for all test queries in all settings."""
    contenders: Mapping[SettingName, Contender] | None = None

    def save(self, file: Path) -> None:
        """Nothing; the result lies in `file` afterwards, whole or not at all."""
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for setting, contender in (self.contenders or {}).items():
            arrays |= {f"{setting}.{name}": getattr(contender.predictions, name) for name in QUANTITIES}
            for preset, utility in (contender.preset_utilities or {}).items():
                arrays[f"{setting}.preset.{preset}"] = utility
            if contender.replayed is not None:
                arrays |= {f"{setting}.replayed.{name}": getattr(contender.replayed, name) for name in _REPLAYED}
        models = next(iter(self.contenders.values())).predictions.models if self.contenders else ()
        told = {"status": self.status, "message": self.message, "fit_s": self.fit_s, "predict_s": self.predict_s}
        # An empty file of tensors is not accepted by all versions of safetensors.
        arrays["cell"] = np.zeros(1)
        metadata = {"cell": json.dumps(told), "models": json.dumps(models)}
        tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        replace_file(file, lambda partial: save_file(tensors, partial, metadata=metadata))

    @classmethod
    def load(cls, file: Path, *, with_contenders: bool = True) -> CellResult | None:
        """The result in `file`; None when there is none, or none that can be read: it is then computed again."""
        try:
            with safe_open(file, framework="numpy") as stored:
                metadata = stored.metadata()
                names = stored.keys() if with_contenders else ()
                arrays = {name: stored.get_tensor(name) for name in names}
        except (FileNotFoundError, SafetensorError):
            return None
        models = tuple(json.loads(metadata["models"]))
        contenders = {
            setting: _contender(arrays, setting, models)
            for setting in cast(tuple[SettingName, ...], ("task_known", "task_hidden"))
            if f"{setting}.effect" in arrays
        }
        return cls(**json.loads(metadata["cell"]), contenders=contenders or None)


def _contender(arrays: Mapping[str, np.ndarray[Any, Any]], setting: str, models: tuple[str, ...]) -> Contender:
    predictions = Predictions(models, *(arrays[f"{setting}.{name}"] for name in QUANTITIES))
    utilities = {preset: arrays[f"{setting}.preset.{preset}"] for preset in PRESETS if f"{setting}.preset.{preset}" in arrays}
    if f"{setting}.replayed.effect" not in arrays:
        return Contender(predictions, preset_utilities=utilities or None)
    return Contender(predictions, Replayed(*(arrays[f"{setting}.replayed.{name}"] for name in _REPLAYED)))


def cell_digest(fingerprint: str, router: str, config: TrainConfig, *, has_network: bool, more: Sequence[object] = ()) -> str:
    """SHA-256 (hex) of all that a result depends on. Where embeddings are cached is no part of it.

    Args:
        fingerprint: Contents of the dataset.
        router: Who is judged.
        config: Its settings.
        has_network: False for a router that the settings of the network are nothing to.
        more: What else the result depends on, as plain values.
    """
    settings = config.model_dump(mode="json")
    settings["encoder"].pop("cache_dir")
    if not has_network:
        settings = {name: settings[name] for name in ("seed", "encoder", "split")}
    parts = [_FORMAT, __version__, fingerprint, router, settings, *more]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
