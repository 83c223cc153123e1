"""Measures a training step: seconds of the processor and peak memory, on a simulated world.

Usage:
    python -m experiments.scaling.run MODELS [--queries N] [--outcomes-a-query N] [--steps N]

Each step draws an episode, scores it and learns from it, as training does, on one thread. The first
step warms up. Run it once a size, since the peak is that of the process.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import torch

import graphrouter as gr
from graphrouter.graph.hetero_data import from_hetero
from graphrouter.nn.layers import is_large_pool
from graphrouter.router.fitting import training_tables
from graphrouter.router.training_view import TrainingView
from graphrouter.training.episode_losses import Labels, episode_losses
from graphrouter.training.episodes import draw_episode
from graphrouter.training.start import build_network


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=int)
    parser.add_argument("--queries", type=int, default=3000)
    parser.add_argument("--outcomes-a-query", type=int, default=20)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    density = options.outcomes_a_query / options.models
    data = gr.simulate(options.queries, options.models, density=density).data
    config = gr.load_config()
    tables = training_tables(TrainingView.of(data, config))
    net = build_network(tables, config).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.training.learning_rate)
    seconds = []
    for number in range(options.steps + 1):
        start = time.process_time()
        generator = torch.Generator().manual_seed(number)
        graph = from_hetero(draw_episode(tables, config, generator))
        if graph.supervision is None:
            raise ValueError("An episode has labels.")
        labels = Labels.of(graph, is_compact=is_large_pool(options.models))
        losses = episode_losses(
            net(graph, labels.models),
            labels,
            graph.supervision.true_task,
            graph.supervision.trade_off,
            scale=tables.transforms.channels.scale.tolist(),
        )
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.models} models, {len(data.outcomes)} outcomes: a step takes "
        f"{statistics.median(seconds[1:]):.2f} s, peak {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
