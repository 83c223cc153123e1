"""Structural parameters of one network, learned from episodes of several sets in turn.

Structural parameters (`list_structural`: masses, kernels, mixtures and scales of the closed forms)
have the same shape and meaning on every set. The weights of the encoders, of the metric of path
attention, of the doubt by query and of the perceptron have the same shapes too, but they read
coordinates that are fitted to the prompts of one set, so that what they learn there is of no use
elsewhere: they stay at their start values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from graphrouter.config import TrainConfig
from graphrouter.graph.hetero_data import from_hetero
from graphrouter.nn.layers import cpu_threads, list_structural
from graphrouter.nn.network import RoutingGNN
from graphrouter.training.episode_losses import Labels, episode_losses
from graphrouter.training.lightning_module import EpisodeDataset
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import build_network, score_validation

ROUNDS_A_CHECK = 5
"""Rounds from one look at the validation rows to the next."""


@dataclass(frozen=True)
class StartValues:
    """Structural parameters, and how they were found."""

    parameters: Mapping[str, Tensor]
    """By name, as in `RoutingGNN.state_dict`."""
    losses: tuple[float, ...]
    """Validation log loss after each check, the start values first: a mean over the sets, tasks
    named and hidden averaged."""
    best_check: int
    """Number of the check whose parameters these are; 0 = the start values."""

    def put_into(self, net: RoutingGNN) -> None:
        """Give a network these parameters; the others stay."""
        net.load_state_dict({**net.state_dict(), **self.parameters})


def learn_start_values(
    sets: Sequence[TrainingTables],
    config: TrainConfig,
    *,
    num_rounds: int,
) -> StartValues:
    """The structural parameters with the best validation loss over several sets.

    One AdamW with the learning rate and schedule that training has; a round is a step on an
    episode of each set in turn.

    Args:
        sets: Training and validation rows of each set.
        config: All settings.
        num_rounds: Most rounds.
            They are looked at after every `ROUNDS_A_CHECK`; where `training.patience` looks in a
            row bring nothing better, it stops.
    """
    with cpu_threads(1), torch.random.fork_rng(devices=[]):
        # One network for each set, whose channels have scales of their own; parameters are shared.
        nets = [build_network(tables, config) for tables in sets]
        shared = _share_structural(nets)
        losses = [_measure(nets, sets, config)]
        best, best_check = _copy(shared), 0
        steps = _train(nets, sets, shared, config, num_rounds=num_rounds)
        for number in steps:
            if number % ROUNDS_A_CHECK:
                continue
            losses.append(_measure(nets, sets, config))
            if losses[-1] < losses[best_check]:
                best, best_check = _copy(shared), len(losses) - 1
            if len(losses) - 1 - best_check >= config.training.patience:
                break
    return StartValues(best, tuple(losses), best_check)


def _share_structural(nets: Sequence[RoutingGNN]) -> dict[str, torch.nn.Parameter]:
    """The structural parameters of the first network, which all then have; nothing else learns."""
    names = list_structural(nets[0])
    shared = {name: each for name, each in nets[0].named_parameters() if name in names}
    for net in nets:
        net.requires_grad_(False)
        for name, parameter in shared.items():
            path, _, last = name.rpartition(".")
            setattr(net.get_submodule(path), last, parameter)
    for parameter in shared.values():
        parameter.requires_grad_(True)
    return shared


def _train(
    nets: Sequence[RoutingGNN],
    sets: Sequence[TrainingTables],
    shared: Mapping[str, torch.nn.Parameter],
    config: TrainConfig,
    *,
    num_rounds: int,
) -> Iterator[int]:
    """Number of each round that is done."""
    settings = config.training
    fast = settings.learning_rate * settings.structural_speed
    optimizer = torch.optim.AdamW(shared.values(), lr=fast, weight_decay=0.0)
    num_steps = num_rounds * len(sets)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=fast, total_steps=num_steps + 1, pct_start=0.1
    )
    episodes = [EpisodeDataset(tables, config) for tables in sets]
    for number in range(num_rounds):
        for place, (net, tables, drawn) in enumerate(zip(nets, sets, episodes, strict=True)):
            torch.manual_seed(config.seed * 1_000_003 + number * len(sets) + place)
            graph = from_hetero(drawn[number])
            if graph.supervision is None:
                raise ValueError("An episode without labels.")
            losses = episode_losses(
                net.train()(graph),
                Labels.of(graph),
                graph.supervision.true_task,
                graph.supervision.trade_off,
                scale=tables.transforms.channels.scale.tolist(),
            )
            optimizer.zero_grad()
            losses.weigh(settings).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(shared.values(), settings.gradient_clip)
            optimizer.step()
            schedule.step()
        yield number + 1


def _measure(
    nets: Sequence[RoutingGNN], sets: Sequence[TrainingTables], config: TrainConfig
) -> float:
    """Mean over the sets of the validation log loss a pair, tasks named and hidden averaged."""
    found = []
    for net, tables in zip(nets, sets, strict=True):
        scores = score_validation(net.eval(), tables, config)
        num_pairs = np.isfinite(scores.effects[0].observed).sum()
        found.append(scores.measure_losses().sum() / num_pairs)
    return float(np.mean(found))


def _copy(shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in shared.items()}
