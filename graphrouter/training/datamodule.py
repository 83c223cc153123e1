"""The Lightning data module: episodes by number, so that any step can be drawn again."""

from __future__ import annotations

from collections.abc import Iterator

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import HeteroData

from graphrouter.config import TrainConfig
from graphrouter.training.episodes import draw_episode, validation_graph
from graphrouter.training.prepare import TrainingTables


class EpisodeDataset(Dataset[HeteroData]):
    """Training episodes; number i is the same graph whenever and wherever it is drawn."""

    def __init__(self, tables: TrainingTables, config: TrainConfig) -> None:
        self.tables = tables
        self.config = config

    def __len__(self) -> int:
        return self.config.training.steps_per_epoch * self.config.training.max_epochs

    def __getitem__(self, number: int) -> HeteroData:
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
        return draw_episode(self.tables, self.config, generator)


class EpisodeSampler(Sampler[int]):
    """Numbers of the episodes of an epoch. Lightning calls `set_epoch`; devices take disjoint numbers."""

    def __init__(self, steps: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.steps, self.rank, self.world_size = steps, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Moves on to the episodes of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.steps
        return ((first + step) * self.world_size + self.rank for step in range(self.steps))


class ValidationDataset(Dataset[HeteroData]):
    """Two graphs of the validation queries: task known, and task hidden."""

    def __init__(self, tables: TrainingTables, config: TrainConfig) -> None:
        self.graphs = [validation_graph(tables, config, task_known=known) for known in (True, False)]

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
        rank = self.trainer.global_rank if self.trainer else 0
        world_size = self.trainer.world_size if self.trainer else 1
        sampler = EpisodeSampler(self.config.training.steps_per_epoch, rank=rank, world_size=world_size)
        return DataLoader(EpisodeDataset(self.tables, self.config), batch_size=None, sampler=sampler)

    def val_dataloader(self) -> DataLoader[HeteroData]:
        """The two validation graphs."""
        return DataLoader(ValidationDataset(self.tables, self.config), batch_size=None)
