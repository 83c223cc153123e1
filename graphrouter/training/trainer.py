"""Trains a network with Lightning: early stopping, checkpoints, resume."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.strategies import DDPStrategy

from graphrouter.config import TrainConfig
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.locks import lock_folder
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import RoutingGNN
from graphrouter.training.checkpoints import (
    BEST,
    OBJECTIVE,
    AtomicCheckpointIO,
    claim_folder,
    load_checkpoint,
    make_checkpoint_callbacks,
)
from graphrouter.training.episodes import steps_per_epoch
from graphrouter.training.lightning_module import (
    EpisodeDataModule,
    RoutingModule,
    explain_divergence,
)
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.progress import TrainingBar
from graphrouter.training.start import beats_start, build_network, score_validation


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network and what its validation said."""

    net: RoutingGNN
    metrics: dict[str, float]
    """`log_loss`, `reward` and `objective` on validation queries at the best epoch, and its number
    as `best_epoch`: 0 where no epoch predicts better than the start values, which stay."""


def fit_network(
    tables: TrainingTables,
    config: TrainConfig,
    *,
    work_dir: Path | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
) -> FittedNetwork:
    """A network trained on the tables, with the weights of its best validation objective.

    Two runs with the same tables and settings on CPU give the same weights bit for bit.

    Args:
        tables: From `prepare`.
        config: All settings.
        work_dir: Folder for checkpoints. When it holds an interrupted run of the same data and
            settings, training goes on from there and ends with the figures of an uninterrupted run.
            Without it, checkpoints go to a temporary folder.
        progress: Show one progress bar.
        callbacks: Lightning callbacks that watch the training; the epoch's figures are
            `val/log_loss`, `val/reward`, `val/objective` and `train/effect` among the trainer's
            callback metrics.

    Raises:
        ConfigError: The accelerator asked for is not there.
        DataError: There are no validation queries.
        TrainingError: The weights or the validation figures are no longer finite, or the network
            cannot compute something of a pool; the message says which and where.
    """
    _check_accelerator(config)
    if not len(tables.validation_queries):
        raise DataError(
            "There are no validation queries, and training is stopped by them. Give a split with "
            "some, or train nothing: instant=True, or training.max_epochs=0."
        )
    threads = cpu_threads(config.training.num_threads)
    with _open_folder(work_dir) as folder, _keep_torch_state(), threads, _silence_lightning():
        resume = claim_folder(folder, tables, config)
        net = build_network(tables, config)
        transforms, num_steps = (
            tables.transforms,
            steps_per_epoch(tables.train_queries.numel(), config.training),
        )
        module = RoutingModule(
            net,
            config,
            transforms.channels,
            transforms.cost,
            tables.pool,
            tables.tokens,
            tables.tariff,
            num_steps=num_steps * config.training.max_epochs,
        )
        if resume is None or not resume.is_over:
            trainer = _make_trainer(config, folder, progress=progress, callbacks=callbacks)
            data = EpisodeDataModule(tables, config)
            trainer.fit(
                module,
                datamodule=data,
                ckpt_path=None if resume is None else resume.path,
                weights_only=True,
            )
        checkpoint = load_checkpoint(folder, BEST)
        module.load_state_dict(checkpoint["state_dict"])
        best_epoch = float(checkpoint["epoch"] + 1)
        if not _is_worth_it(net, tables, config):
            net.load_state_dict(build_network(tables, config).state_dict())
            best_epoch = 0.0
        metrics = {**_validate(module, tables, config), "best_epoch": best_epoch}
    _check_finite(net, metrics)
    return FittedNetwork(net=net.cpu().eval(), metrics=metrics)


def _is_worth_it(net: RoutingGNN, tables: TrainingTables, config: TrainConfig) -> bool:
    """Whether the trained network predicts better than its start values."""
    trained, start = net.cpu().eval(), build_network(tables, config).eval()
    return beats_start(*(score_validation(each, tables, config) for each in (trained, start)))


def _check_finite(net: RoutingGNN, metrics: dict[str, float]) -> None:
    if not all(math.isfinite(value) for value in metrics.values()) or not all(
        p.isfinite().all() for p in net.parameters()
    ):
        raise explain_divergence(f"the best validation log loss is {metrics['log_loss']}")


def _check_accelerator(config: TrainConfig) -> None:
    if config.training.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError(
            "training.accelerator = gpu, but torch finds no CUDA device here. Use auto or cpu."
        )
    if config.training.accelerator == "gpu" and _is_lost_to_a_fork():
        raise ConfigError(
            "training.accelerator = gpu, but this process was forked from one that had used CUDA, "
            "and CUDA does not survive a fork. Start it with the method spawn, or use cpu."
        )


def _make_trainer(
    config: TrainConfig, folder: Path, *, progress: bool, callbacks: Sequence[Callback]
) -> L.Trainer:
    settings = config.training
    stop = EarlyStopping(
        monitor=OBJECTIVE, patience=settings.patience, min_delta=1e-4, check_on_train_epoch_end=True
    )
    bar: list[Callback] = [TrainingBar()] if progress else []
    # Processes are spawned and not launched again as scripts: what follows training must run once.
    several = DDPStrategy(start_method="spawn", find_unused_parameters=True)
    return L.Trainer(
        accelerator=_choose_accelerator(config),
        devices=settings.devices,
        strategy=several if settings.devices > 1 else "auto",
        max_epochs=settings.max_epochs,
        gradient_clip_val=settings.gradient_clip,
        deterministic=_choose_determinism(config),
        callbacks=[stop, *bar, *callbacks, *make_checkpoint_callbacks(folder)],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def _choose_accelerator(config: TrainConfig) -> str:
    """`gpu` or `cpu`.

    Lightning's own choice would take Apple's MPS, which has no double precision for the validation
    figures.
    """
    wanted = config.training.accelerator
    can_use_gpu = torch.cuda.is_available() and not _is_lost_to_a_fork()
    return ("gpu" if can_use_gpu else "cpu") if wanted == "auto" else wanted


def _is_lost_to_a_fork() -> bool:
    """Whether CUDA was in use before this process was forked, after which it never is again."""
    return bool(getattr(torch.cuda, "_is_in_bad_fork", bool)())


def _choose_determinism(config: TrainConfig) -> bool | Literal["warn"]:
    """On CPU every operation repeats to the bit; on a GPU some have no such version."""
    return True if _choose_accelerator(config) == "cpu" else "warn"


def _validate(
    module: RoutingModule, tables: TrainingTables, config: TrainConfig
) -> dict[str, float]:
    """`log_loss`, `reward` and `objective` of the module as it is, on one device."""
    trainer = L.Trainer(
        accelerator=_choose_accelerator(config),
        devices=1,
        deterministic=_choose_determinism(config),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    results = trainer.validate(module, datamodule=EpisodeDataModule(tables, config), verbose=False)
    return {name.removeprefix("val/"): float(value) for name, value in results[0].items()}


@contextmanager
def _keep_torch_state() -> Iterator[None]:
    """Give the process back its random state and its choice of algorithms.

    A trainer sets both for all of torch.
    """
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)


@contextmanager
def _open_folder(work_dir: Path | None) -> Iterator[Path]:
    if work_dir is not None:
        with lock_folder(work_dir, wait_s=0):  # two trainings would mix up their checkpoints
            yield work_dir
        return
    with tempfile.TemporaryDirectory(prefix="graphrouter-") as name:
        yield Path(name)


@contextmanager
def _silence_lightning() -> Iterator[None]:
    """Keep Lightning's advice on workers, devices and loggers away.

    One progress bar is what the user asked for.
    """
    names = (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.pytorch.accelerators.cuda",
        "lightning.fabric.utilities.seed",
    )
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
