"""What a training leaves in its run: settings, data, figures of each epoch, the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from graphrouter.artifact import copy_artifact, read_manifest
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split
from graphrouter.documented_model import list_fields
from graphrouter.tracking.mlflow_store import ARTIFACT
from graphrouter.tracking.registered_model import register_router

if TYPE_CHECKING:
    from graphrouter.tracking.tracked_run import TrackedRun

WATCHED = ("train/effect", "val/log_loss", "val/reward", "val/objective")
"""Figures of an epoch: the training loss of its last episode, then what its validation said."""


class EpochMetrics(Callback):
    """Logs the figures of each epoch, with its number, from 1, as the step."""

    def __init__(self, run: TrackedRun) -> None:
        super().__init__()
        self._run = run

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch that was just validated.

        The first of several processes does it for all.
        """
        if trainer.is_global_zero and not trainer.sanity_checking:
            known = trainer.callback_metrics
            self._run.log_metrics(
                {name: float(known[name]) for name in WATCHED if name in known},
                step=trainer.current_epoch + 1,
            )


def flatten_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings by dotted name.

    Example:
        >>> flat = flatten_settings(TrainConfig(seed=3))
        >>> flat["seed"], "training.max_epochs" in flat
        (3, True)
    """
    plain = config.model_dump(mode="json")

    def value(key: str) -> Any:
        found: Any = plain
        for part in key.split("."):
            found = found[part]
        return found

    return {key: value(key) for key in list_fields(TrainConfig)}


def log_setup(
    run: TrackedRun, config: TrainConfig, dataset: RoutingDataset, split: Split, *, router: str
) -> None:
    """Log what is about to be trained, and on what.

    Args:
        run: Where.
        config: All settings.
        dataset: The outcomes.
        split: Its division.
        router: Name of the method.
    """
    sizes = {
        "num_train_queries": len(split.train),
        "num_validation_queries": len(split.validation),
        "num_test_queries": len(split.test),
        "num_models": len(dataset.models),
        "num_tasks": len(dataset.tasks),
        "num_outcomes": len(dataset.outcomes),
    }
    named = {"name": dataset.name, "fingerprint": dataset.fingerprint}
    run.set_tags({"router": router, **{f"dataset.{key}": value for key, value in named.items()}})
    data = {f"dataset.{key}": value for key, value in {**named, **sizes}.items()}
    run.log_params({"router": router, **flatten_settings(config), **data})


def log_result(
    run: TrackedRun,
    artifact: Path,
    *,
    metrics: Mapping[str, float],
    seconds: float,
    register: str | None = None,
) -> str | None:
    """Log what the training reached; the URI under which the router is registered, if it is.

    Args:
        run: Where.
        artifact: Folder of the saved router, which is copied there.
        metrics: Validation figures of the chosen epoch.
        seconds: How long the training took.
        register: Name for the router in the model registry.
    """
    if not run.is_on:
        return None
    run.log_metrics(
        {**{f"final/{name}": value for name, value in metrics.items()}, "seconds": seconds}
    )
    # A copy: without older versions, and whole, whoever changes the artifact meanwhile.
    with TemporaryDirectory(prefix="graphrouter-") as folder:
        copy = Path(folder) / artifact.resolve().name
        copy_artifact(artifact, copy)
        run.set_tags({"artifact.checksum": str(read_manifest(copy)["checksum"])})
        run.log_files(copy, folder=ARTIFACT)
        return None if register is None else register_router(run, copy, name=register)
