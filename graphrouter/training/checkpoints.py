"""The folder of an unfinished run: whose it is, and whether it can go on.

Its files are whole, or not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

import graphrouter
from graphrouter.artifact import FORMAT_VERSION
from graphrouter.config import TrainConfig
from graphrouter.features.row_files import RowFile
from graphrouter.locks import lock_folder
from graphrouter.training.prepare import TrainingTables

_logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
BEST, LAST = "best", "last"
OBJECTIVE = "val/objective"


class ResumePoint(NamedTuple):
    """Where an interrupted run goes on."""

    path: Path
    is_over: bool
    """Whether early stopping had already ended it."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there whole.

    A kill in mid-write leaves the one before.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write the checkpoint to `path`, whole or not at all."""
        partial = Path(f"{path}.partial")
        super().save_checkpoint(checkpoint, partial, storage_options)
        partial.replace(path)


def make_checkpoint_callbacks(folder: Path) -> list[ModelCheckpoint]:
    """Writers of the best and of the last checkpoint, in the order in which they must run.

    Both write at the end of the training epoch, when it counts as done and early stopping has had
    its say: a resumed run neither repeats an epoch nor forgets that it was over.
    """
    best = ModelCheckpoint(
        dirpath=folder,
        filename=BEST,
        monitor=OBJECTIVE,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    last = ModelCheckpoint(
        dirpath=folder, filename=LAST, save_on_train_epoch_end=True, enable_version_counter=False
    )
    return [best, last]


def load_checkpoint(folder: Path, name: str) -> dict[str, Any]:
    """The checkpoint `best` or `last` of a run, on CPU."""
    checkpoint: dict[str, Any] = torch.load(
        folder / f"{name}.ckpt", map_location="cpu", weights_only=True
    )
    return checkpoint


def claim_folder(folder: Path, tables: TrainingTables, config: TrainConfig) -> ResumePoint | None:
    """Where the run that was interrupted in `folder` goes on.

    None, and a cleared folder, where there is none to go on with.
    """
    identity = hash_run(tables, config)
    run_file = folder / RUN_FILE
    if run_file.is_file():
        if _read_identity(run_file) == identity:
            point = _find_resume_point(folder)
            if point is not None:
                _logger.info("Going on with the interrupted run in %s.", folder)
                return point
        else:
            _logger.warning("The run in %s was of other data or settings; starting over.", folder)
    for old in folder.glob("*.ckpt*"):
        old.unlink()
    partial = run_file.with_suffix(".partial")
    partial.write_text(json.dumps({"identity": identity}), encoding="utf-8")
    partial.replace(run_file)
    return None


def hash_run(tables: TrainingTables, config: TrainConfig) -> str:
    """A hash of everything that a run depends on, in order.

    That is settings, release, the names of the weights (which the format of artifacts stands for),
    and every number that it learns from.
    """
    release = f"{graphrouter.__version__} {FORMAT_VERSION} {torch.__version__}"
    digest = hashlib.sha256(f"{release} {config.model_dump_json()}".encode())
    for name, rows in _list_tensors(tables):
        digest.update(f"{name} {tuple(rows.shape)}".encode())
        for part in rows.iterate_blocks() if isinstance(rows, RowFile) else [rows.numpy()]:
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)  # no copy
    return digest.hexdigest()


def discard_run(work_dir: Path) -> None:
    """Remove the checkpoints of a finished run.

    Raises:
        BusyError: A training is going on there.
    """
    if work_dir.is_dir():
        with lock_folder(work_dir, wait_s=0):
            shutil.rmtree(work_dir, ignore_errors=True)


def _list_tensors(tables: TrainingTables) -> Iterator[tuple[str, Tensor | RowFile]]:
    for part in (tables.nodes, tables.train, tables.validation, tables):
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, Tensor | RowFile):
                yield field.name, value


def _read_identity(run_file: Path) -> str | None:
    try:
        identity: str = json.loads(run_file.read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return identity


def _find_resume_point(folder: Path) -> ResumePoint | None:
    best, last = folder / f"{BEST}.ckpt", folder / f"{LAST}.ckpt"
    if not last.is_file():  # interrupted in the first epoch
        return None
    if not (_is_whole(best) and _is_whole(last)):
        _logger.warning("The checkpoints in %s are damaged; starting over.", folder)
        return None
    callbacks = load_checkpoint(folder, LAST)["callbacks"]
    stopping = next(state for name, state in callbacks.items() if name.startswith("EarlyStopping"))
    return ResumePoint(last, is_over=stopping["wait_count"] >= stopping["patience"])


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint, which is a ZIP file, is complete and as it was written."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False
