"""The Lightning data module: episodes by number, so that any step can be drawn again."""

from __future__ import annotations

from collections.abc import Iterator

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import HeteroData

from graphrouter.config import TrainConfig
from graphrouter.training.episodes import draw_episode, steps_per_epoch, validation_graph
from graphrouter.training.prepare import TrainingTables


class EpisodeDataset(Dataset[HeteroData]):
    """Training episodes; number i is the same graph whenever and wherever it is drawn."""

    def __init__(self, tables: TrainingTables, config: TrainConfig) -> None:
        self.tables = tables
        self.config = config

    def __len__(self) -> int:
        settings = self.config.training
        return steps_per_epoch(self.tables.train_queries.numel(), settings) * settings.max_epochs

    def __getitem__(self, number: int) -> HeteroData:
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
        return draw_episode(self.tables, self.config, generator)


class EpisodeSampler(Sampler[int]):
    """Numbers of the episodes of the current epoch; devices take disjoint numbers."""

    def __init__(self, steps: int, trainer: L.Trainer) -> None:
        """Keeps the trainer.

        Args:
            steps: Episodes in an epoch.
            trainer: Asked how many steps are done when an epoch begins: after a resume its epoch
                counter lags behind.
        """
        self.steps = steps
        self.trainer = trainer

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        first = self.trainer.global_step
        return (
            (first + step) * self.trainer.world_size + self.trainer.global_rank
            for step in range(self.steps)
        )


class ValidationDataset(Dataset[HeteroData]):
    """Two graphs of the validation queries: task known, and task hidden."""

    def __init__(self, tables: TrainingTables, config: TrainConfig) -> None:
        self.graphs = [
            validation_graph(tables, config, task_known=known) for known in (True, False)
        ]

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, number: int) -> HeteroData:
        return self.graphs[number]


class EpisodeDataModule(L.LightningDataModule):
    """Draws episodes from prepared tables."""

    def __init__(self, tables: TrainingTables, config: TrainConfig) -> None:
        super().__init__()
        self.tables = tables
        self.config = config

    def train_dataloader(self) -> DataLoader[HeteroData]:
        """Episodes, one a batch."""
        if self.trainer is None:
            raise RuntimeError(
                "EpisodeDataModule draws episodes for a trainer: pass it to Trainer.fit."
            )
        steps = steps_per_epoch(self.tables.train_queries.numel(), self.config.training)
        sampler = EpisodeSampler(steps, self.trainer)
        return DataLoader(
            EpisodeDataset(self.tables, self.config), batch_size=None, sampler=sampler
        )

    def val_dataloader(self) -> DataLoader[HeteroData]:
        """The two validation graphs."""
        return DataLoader(ValidationDataset(self.tables, self.config), batch_size=None)
