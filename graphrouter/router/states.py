"""What a network makes of a support: states, familiarity, and what outcomes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from graphrouter.data.splits import prompt_key
from graphrouter.features.bills import Bills
from graphrouter.features.tables import (
    NodeTable,
    RecordedEdges,
    encode_outcomes,
    find_positions,
)
from graphrouter.graph.routing_graph import build_graph
from graphrouter.nn.attention import Familiarity
from graphrouter.nn.forecaster import Forecaster
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.state import SupportState
from graphrouter.router.outcome_covariance import OutcomeCovariance, estimate_covariance
from graphrouter.router.parts import Learned, Support
from graphrouter.types import FloatArray

if TYPE_CHECKING:
    from graphrouter.training.start import HeldEffects


@cpu_threads(1)
@torch.inference_mode()
def encode_state(
    forecaster: Forecaster, learned: Learned, support: Support, bills: Bills
) -> SupportState:
    """The cached state of a support, in double precision."""
    nodes, edges = _read_graph(learned, support, bills)
    graph = build_graph(
        nodes,
        support=edges,
        support_queries=torch.arange(len(support.queries)),
        target_queries=torch.empty(0, dtype=torch.int64),
        target_tasks=torch.empty(0, dtype=torch.int64),
        num_neighbours=learned.config.graph.num_neighbours,
    )
    return forecaster.net.encode_support(graph.double())


@torch.inference_mode()
def compare_solved(state: SupportState, learned: Learned, support: Support) -> Familiarity:
    """How near the solved prompts of a support are to each other."""
    surface = learned.transforms.features.prompts.surface(support.raw.surface)
    with cpu_threads(1):
        return Familiarity.of(
            state.query_text,
            torch.from_numpy(surface).double(),
            state.messages.row_start.diff() > 0,
            learned.config.graph.num_neighbours,
        )


def estimate_outcome_covariance(
    learned: Learned, support: Support, bills: Bills
) -> OutcomeCovariance:
    """How the outcomes of the models on one query go together, by the solved queries.

    Each is scored by the outcomes of others: as long as two computations of the state of half the
    support.
    """
    from graphrouter.training.start import Solved, score_crosswise  # of training: only when asked

    nodes, edges = _read_graph(learned, support, bills)
    group = pd.factorize(support.queries["prompt"].map(prompt_key))[0].astype(np.int64)
    queries = torch.arange(len(support.queries))
    solved = Solved(nodes, edges, queries, torch.from_numpy(group))
    halves = [half.effects for half in score_crosswise(learned.net, solved, learned.config)]
    if not halves:
        nothing = np.full((1, len(support.pool)), np.nan)
        alike = estimate_covariance(np.zeros_like(nothing), nothing)
        return OutcomeCovariance(alike, alike)
    return OutcomeCovariance(*map(partial(_estimate, learned), zip(*halves, strict=True)))


def _estimate(learned: Learned, halves: Sequence[HeldEffects]) -> FloatArray:
    """The covariance by the halves of the solved queries, in one setting."""
    held = halves[0].join(halves)
    level, slope = (
        part.numpy()[:, None] for part in learned.calibration.lines(torch.from_numpy(held.task))
    )
    return estimate_covariance(level + slope * held.logit, held.observed)


def _read_graph(
    learned: Learned, support: Support, bills: Bills
) -> tuple[NodeTable, RecordedEdges]:
    """The nodes and the outcomes of a support."""
    position = find_positions(support.outcomes["query_id"], support.queries["query_id"].tolist())
    model = find_positions(support.outcomes["model"], support.pool.names)
    edges = encode_outcomes(position, model, support.outcomes, learned.transforms, bills)
    return support.raw.to_nodes(learned.transforms.features, support.pool, model), edges
