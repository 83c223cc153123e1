"""Trains a network with Lightning: early stopping, checkpoints, resume."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy

from graphrouter.config import TrainConfig
from graphrouter.nn.network import FeatureSizes, RoutingGNN
from graphrouter.nn.threads import cpu_threads
from graphrouter.training.datamodule import EpisodeDataModule
from graphrouter.training.module import RoutingModule
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.progress import TrainingBar

_logger = logging.getLogger(__name__)

RUN_FILE = "run.json"


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network and what its validation said."""

    net: RoutingGNN
    metrics: dict[str, float]
    """`log_loss`, `reward` and `objective` on validation queries at the best epoch, and its number as `best_epoch`."""


def build_network(tables: TrainingTables, config: TrainConfig) -> RoutingGNN:
    """An untrained network for the tables, weights drawn from `config.seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return RoutingGNN(config.network, feature_sizes(tables))


def feature_sizes(tables: TrainingTables) -> FeatureSizes:
    """Widths of the node features of the tables."""
    nodes = tables.nodes
    return FeatureSizes(nodes.query_principal.shape[1], nodes.model_text.shape[1], nodes.model_card.shape[1])


def fit_network(
    tables: TrainingTables, config: TrainConfig, *, work_dir: Path | None = None, fingerprint: str = "", progress: bool = False
) -> FittedNetwork:
    """A network trained on the tables, with the weights of its best validation objective.

    Two runs with the same tables and settings on CPU give the same weights bit for bit.

    Args:
        tables: From `prepare`.
        config: All settings.
        work_dir: Folder for checkpoints. When it holds an interrupted run of the same data and settings, training goes on from
            there and ends with the figures of an uninterrupted run. Without it, checkpoints go to a temporary folder.
        fingerprint: Identifies the data in `work_dir`.
        progress: Show one progress bar.
    """
    threads = cpu_threads(config.training.num_threads)
    with _folder(work_dir) as folder, _own_torch_state(), threads, _quiet_lightning():
        last = _claim(folder, config, fingerprint)
        net = build_network(tables, config)
        module = RoutingModule(net, config, tables.transforms.channels, tables.transforms.cost, tables.pool.prices)
        best = ModelCheckpoint(
            dirpath=folder,
            filename="best",
            monitor="val/objective",
            save_last=True,
            save_on_train_epoch_end=True,  # with the epoch counted as done, so that a resumed run does not repeat it
            enable_version_counter=False,
        )
        trainer = _trainer(config, folder, [best], progress=progress)
        trainer.fit(module, datamodule=EpisodeDataModule(tables, config), ckpt_path=last, weights_only=True)
        checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        metrics = _validate(module, tables, config)
        metrics["best_epoch"] = float(checkpoint["epoch"] + 1)
    return FittedNetwork(net=net.cpu().eval(), metrics=metrics)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there whole: a kill in mid-write leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Nothing; the checkpoint lies at `path` afterwards."""
        partial = Path(f"{path}.partial")
        super().save_checkpoint(checkpoint, partial, storage_options)
        partial.replace(path)


def _trainer(config: TrainConfig, folder: Path, callbacks: list[Callback], *, progress: bool) -> L.Trainer:
    settings = config.training
    stop = EarlyStopping(
        monitor="val/objective", patience=settings.patience, min_delta=1e-4, check_finite=True, check_on_train_epoch_end=True
    )
    bar = [TrainingBar()] if progress else []
    on_cpu = not _uses_gpu(config)
    devices = 1 if on_cpu and settings.devices == "auto" else settings.devices
    num_devices = torch.cuda.device_count() if devices == "auto" else devices
    # Processes are spawned and not launched again as scripts: what follows training must run once.
    several = DDPStrategy(start_method="spawn", find_unused_parameters=True) if num_devices > 1 else "auto"
    return L.Trainer(
        accelerator=settings.accelerator,
        devices=devices,
        strategy=several,
        max_epochs=settings.max_epochs,
        gradient_clip_val=settings.gradient_clip,
        deterministic=True if on_cpu else "warn",
        callbacks=[*callbacks, stop, *bar],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def _uses_gpu(config: TrainConfig) -> bool:
    accelerator = config.training.accelerator
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())


def _validate(module: RoutingModule, tables: TrainingTables, config: TrainConfig) -> dict[str, float]:
    """Validation figures of the module as it is, on one device: `log_loss`, `reward`, `objective`."""
    trainer = L.Trainer(
        accelerator=config.training.accelerator,
        devices=1,
        deterministic="warn" if _uses_gpu(config) else True,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    results = trainer.validate(module, datamodule=EpisodeDataModule(tables, config), verbose=False)
    return {name.removeprefix("val/"): float(value) for name, value in results[0].items()}


@contextmanager
def _own_torch_state() -> Iterator[None]:
    """Gives the process back its random state and its choice of algorithms, both of which a trainer sets for all of torch."""
    enabled, warn_only = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)


@contextmanager
def _folder(work_dir: Path | None) -> Iterator[Path]:
    if work_dir is not None:
        work_dir.mkdir(parents=True, exist_ok=True)
        yield work_dir
        return
    with tempfile.TemporaryDirectory(prefix="graphrouter-") as name:
        yield Path(name)


def _claim(folder: Path, config: TrainConfig, fingerprint: str) -> Path | None:
    """The checkpoint to go on from; clears a folder that belongs to another run."""
    identity = {"fingerprint": fingerprint, "config": hashlib.sha256(config.model_dump_json().encode()).hexdigest()}
    run_file, last = folder / RUN_FILE, folder / "last.ckpt"
    if run_file.is_file() and last.is_file():
        if json.loads(run_file.read_text(encoding="utf-8")) == identity:
            _logger.info("Going on with the interrupted run in %s.", folder)
            return last
        _logger.warning("The run in %s was of other data or settings; starting over.", folder)
    for old in folder.glob("*.ckpt"):
        old.unlink()
    run_file.write_text(json.dumps(identity), encoding="utf-8")
    return None


def discard_run(work_dir: Path) -> None:
    """Removes the checkpoints of a finished run."""
    shutil.rmtree(work_dir, ignore_errors=True)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's advice on workers, devices and loggers away: one progress bar is what the user asked for."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda", "lightning.fabric.utilities.seed")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", message=".*num_workers.*|.*lr_scheduler.step.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
