"""What Lightning runs: the episodes, by number, and the module with losses and optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import HeteroData

from graphrouter.config import TrainConfig
from graphrouter.exceptions import TrainingError
from graphrouter.features.channels import EFFECT, ChannelScaler, Tariff
from graphrouter.features.token_rates import TokenRates
from graphrouter.graph.hetero_data import from_hetero
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.layers import is_large_pool, list_structural
from graphrouter.nn.network import RoutingGNN
from graphrouter.policy import PRESETS, CostScale, weigh
from graphrouter.pool import ModelPool
from graphrouter.scoring.forecaster import Forecaster
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.state import SupportState, Targets
from graphrouter.training.episode_losses import (
    EpisodeLosses,
    Labels,
    effect_log_loss,
    episode_losses,
)
from graphrouter.training.episodes import draw_episode, steps_per_epoch, validation_graph
from graphrouter.training.prepare import TrainingTables
from graphrouter.types import FloatArray

_LARGEST_WEIGHT = 30.0
"""Beyond it a weight has diverged. Masses and kernels are learned as logarithms, which start from
below 7; layers start from below 1."""


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


class RoutingModule(L.LightningModule):
    """Trains a `RoutingGNN` on episodes.

    Validation reports `log_loss` (task known and hidden averaged), `reward` (mean of the three
    presets) and `objective`, the log loss again, which early stopping and the choice of the
    checkpoint minimise: the reward of a few hundred queries is too noisy.
    """

    def __init__(
        self,
        net: RoutingGNN,
        config: TrainConfig,
        channels: ChannelScaler,
        cost: CostScale,
        pool: ModelPool,
        tokens: TokenRates,
        tariff: Tariff,
        *,
        num_steps: int,
    ) -> None:
        """Keeps what training needs.

        Args:
            net: The network, changed in place.
            config: All settings.
            channels: Maps channels to tokens and dollars.
            cost: Maps dollars to [0, 1].
            pool: The models of the episodes.
            tokens: From characters to tokens, for these models.
            tariff: What they charge.
            num_steps: Optimiser steps until the learning rate is back at 0.
        """
        super().__init__()
        self.net = net
        self.config = config
        self.channels = channels
        self.cost = cost
        self.pool = pool
        self.tokens = tokens
        self.tariff = tariff
        self.num_steps = num_steps
        self._validated: SupportState | None = None

    def on_train_batch_start(self, batch: HeteroData, batch_idx: int) -> None:
        """Seed dropout by the step, so that a resumed run repeats an uninterrupted one."""
        torch.manual_seed(
            (self.config.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank
        )

    def training_step(self, batch: HeteroData, batch_idx: int) -> torch.Tensor:
        """The weighted loss of an episode, a scalar."""
        graph = from_hetero(batch)
        if graph.supervision is None:
            raise ValueError("An episode without labels: build its graph with `labels`.")
        labels = Labels.of(graph, is_compact=is_large_pool(len(self.pool)))
        with self._name_failures(graph, f"training step {self.global_step + 1}"):
            predictions = self.net(graph, labels.models)
        losses = episode_losses(
            predictions,
            labels,
            graph.supervision.true_task,
            graph.supervision.trade_off,
            scale=self.channels.scale.tolist(),
        )
        with self._name_failures(graph, f"training step {self.global_step + 1}"):
            _check_losses(losses)
        self.log("train/effect", losses.effect.detach(), batch_size=1)
        return losses.weigh(self.config.training)

    def on_validation_epoch_start(self) -> None:
        """The weights are others than at the last validation."""
        self._validated = None

    def on_validation_epoch_end(self) -> None:
        """What the network made of the support is not kept through the steps that follow."""
        self._validated = None

    def validation_step(self, batch: HeteroData, batch_idx: int) -> None:
        """Log what the validation queries of one setting (task known or hidden) say."""
        graph = from_hetero(batch)
        with self._name_failures(graph, "the validation"):
            if self._validated is None:  # the graphs of a validation have one support
                self._validated = self.net.encode_support(graph)
            # Of a large pool the pairs that were observed, which are few of all.
            labels = Labels.of(graph, is_compact=is_large_pool(len(self.pool)))
            predictions = self.net.score_in_parts(self._validated, graph.targets, labels.models)
            log_loss = effect_log_loss(predictions, labels).cpu().double()
            if not torch.isfinite(log_loss):
                raise TrainingError("The log loss is not finite.")
        if labels.models is not None:
            predictions = _spread_out(predictions, labels.models, len(self.pool))
        reward = self._mean_reward(predictions, graph.targets, Labels.of(graph))
        for name, value in (("log_loss", log_loss), ("reward", reward), ("objective", log_loss)):
            self.log(f"val/{name}", value, on_epoch=True, batch_size=1, sync_dist=True)

    @contextmanager
    def _name_failures(self, graph: RoutingGraph, where: str) -> Iterator[None]:
        """Say of a computation that failed whether weights or the pool are to blame.

        Raises:
            TrainingError: In place of that of a part of the network.
        """
        try:
            yield
        except TrainingError as error:
            wild = describe_wild_weights(self.net)
            if wild is not None:
                raise explain_divergence(f"{wild} at {where}") from error
            raise TrainingError(
                f"{error} It happened in {where}, where the weights are as they should be; "
                f"{_describe_pool(graph, self.pool)}. Please report this pool. Another seed draws "
                "other episodes: set seed."
            ) from error

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with a short warm-up and cosine decay.

        The few numbers that govern the closed-form parts (prior masses, kernels, mixtures) learn
        faster than the weights of the encoders: they cannot memorise queries, and most of what
        there is to learn is theirs. Each module says which of its parameters these are.
        """
        settings = self.config.training
        names = list_structural(self.net)
        structural = [p for name, p in self.net.named_parameters() if name in names]
        weights = [p for name, p in self.net.named_parameters() if name not in names]
        fast = settings.learning_rate * settings.structural_speed
        groups = [
            {"params": weights, "lr": settings.learning_rate, "weight_decay": settings.weight_decay}
        ]
        groups.append({"params": structural, "lr": fast, "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(groups)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[settings.learning_rate, fast],
            total_steps=max(self.num_steps, 10) + 1,  # its warm-up takes a step at the least
            pct_start=0.1,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _mean_reward(self, predictions: PairPredictions, targets: Targets, labels: Labels) -> float:
        """Mean observed reward of the presets, choosing among observed pairs.

        Performance first alone where no cost is known.
        """
        forecaster = Forecaster(self.net, self.channels)
        precise = PairPredictions(*(part.cpu().double() for part in predictions))
        expected = forecaster.read(precise, targets, self.pool, self.tokens, self.tariff)
        effect = labels.channels[EFFECT].cpu().double().numpy()
        scaled_cost = labels.scaled_cost.cpu().double().numpy()
        expected_cost = self.cost.scale(expected.cost_usd)
        rewards = [
            preset_reward(expected.effect, expected_cost, effect, scaled_cost, *weights)
            for weights in PRESETS.values()
        ]
        known = [reward for reward in rewards if reward is not None]
        return float(np.mean(known)) if known else 0.0


def _spread_out(predictions: PairPredictions, models: Tensor, num_models: int) -> PairPredictions:
    """Predictions for models (B, L) of each target in the places of all, NaN for the others."""

    def spread(values: Tensor) -> Tensor:
        grid = values.new_full((*values.shape[:-1], num_models), torch.nan)
        return grid.scatter(-1, models.expand_as(values), values)

    pairs = ("location", "log_scale", "deviation")
    return predictions._replace(**{name: spread(getattr(predictions, name)) for name in pairs})


def describe_wild_weights(net: torch.nn.Module) -> str | None:
    """The first weight that is not finite or is out of all proportion, None without one."""
    for name, parameter in net.named_parameters():
        largest = float(parameter.detach().abs().max())
        if not largest <= _LARGEST_WEIGHT:  # NaN too
            return f"a weight of {name} is {largest:.3g}"
    return None


def explain_divergence(what: str) -> TrainingError:
    """The error of a training whose weights went astray."""
    return TrainingError(
        f"Training diverged: {what}. "
        "Lower training.learning_rate or training.structural_speed, or go back to the default "
        "settings."
    )


def _check_losses(losses: EpisodeLosses) -> None:
    """Refuse losses that are not finite, by name."""
    off = [name for name, loss in losses._asdict().items() if not torch.isfinite(loss)]
    if off:
        raise TrainingError(f"The loss of {', '.join(off)} is not finite.")


def _describe_pool(graph: RoutingGraph, pool: ModelPool) -> str:
    """What the support held: 'the support held 3 outcomes: small 2, large 1'."""
    counts = torch.bincount(graph.outcomes.model.cpu(), minlength=len(pool)).tolist()
    named = [f"{name} {count}" for name, count in zip(pool.names, counts, strict=True)]
    more = f" and {len(named) - 5} more models" if len(named) > 5 else ""
    return (
        f"the support held {sum(counts)} outcomes on {len(graph.query_text)} queries of "
        f"{len(graph.task_text)} tasks: {', '.join(named[:5])}{more}"
    )


def preset_reward(
    expected_effect: FloatArray,
    expected_cost: FloatArray,
    effect: FloatArray,
    scaled_cost: FloatArray,
    effect_weight: float,
    cost_weight: float,
) -> float | None:
    """Mean observed reward of choosing by expected reward among the pairs observed.

    None when no pair can be scored.

    All arrays are (num_queries, num_models); costs are scaled to [0, 1]; NaN = unknown.
    """
    expected = weigh(expected_effect, expected_cost, effect_weight, cost_weight)
    observed = weigh(effect, scaled_cost, effect_weight, cost_weight)
    scorable = np.isfinite(expected) & np.isfinite(observed)
    rows = scorable.any(axis=1)
    if not rows.any():
        return None
    choice = np.where(scorable, expected, -np.inf).argmax(axis=1)
    return float(observed[np.arange(len(choice)), choice][rows].mean())
