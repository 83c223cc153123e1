"""One progress bar for a training run, with the figures that matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class TrainingBar(Callback):
    """A bar over all episodes on standard error.

    It shows the training loss, then log loss and reward of the last validation.
    """

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar, where a resumed run left off.

        Only the first of several processes has one.
        """
        if not trainer.is_global_zero:
            return
        columns = (
            TextColumn("Training"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._progress.start()
        total = int(trainer.max_epochs or 0) * int(trainer.num_training_batches)
        self._progress.add_task("", total=total, completed=trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar."""
        if self._progress is not None:
            description = describe_metrics(trainer.callback_metrics)
            self._progress.update(
                self._progress.task_ids[0], completed=trainer.global_step, description=description
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away, so that an error does not land in it."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def describe_metrics(metrics: Mapping[str, Any]) -> str:
    """The figures to watch, as far as there are any: "loss 0.512  log loss 0.498  reward 0.452"."""
    names = {"train/effect": "loss", "val/log_loss": "log loss", "val/reward": "reward"}
    return "  ".join(
        f"{title} {float(metrics[name]):.3f}" for name, title in names.items() if name in metrics
    )
