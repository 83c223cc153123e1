"""What a network makes of a support: states, familiarity, and what outcomes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.features.bills import Bills
from graphrouter.features.tables import NodeTable, RecordedEdges, encode_outcomes
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


class States(NamedTuple):
    """All that is computed once of a support, and that predictions rest on."""

    support: SupportState
    familiarity: Familiarity


def make_states(forecaster: Forecaster, learned: Learned, support: Support, bills: Bills) -> States:
    """The states of a support, in double precision."""
    state = encode_state(forecaster, learned, support, bills)
    return States(state, compare_solved(state, learned, support))


@cpu_threads(1)
@torch.inference_mode()
def encode_state(
    forecaster: Forecaster, learned: Learned, support: Support, bills: Bills
) -> SupportState:
    """The cached state of a support, in double precision.

    Its arrays lie row after row in memory, as they do after saving and loading: then the same bits
    come of them.
    """
    nodes, edges = _read_graph(learned, support, bills)
    graph = build_graph(
        nodes,
        support=edges,
        support_queries=torch.arange(len(support.queries)),
        target_queries=torch.empty(0, dtype=torch.int64),
        target_tasks=torch.empty(0, dtype=torch.int64),
        num_neighbours=learned.config.graph.num_neighbours,
    )
    state: SupportState = _arrange_in_rows(forecaster.net.encode_support(graph.double()))
    return state


def _arrange_in_rows(part: Any) -> Any:
    """The named tuple with every tensor in it, at any depth, laid out row after row."""
    if isinstance(part, Tensor):
        return part.clone(memory_format=torch.contiguous_format)
    return None if part is None else part._make(map(_arrange_in_rows, part))


def read_texts(learned: Learned, support: Support) -> Tensor:
    """Centred unit embeddings of the support queries, (S, dimension) float64."""
    return torch.from_numpy(learned.transforms.features.prompts.text(support.raw.prompts)).double()


@torch.inference_mode()
def compare_solved(
    state: SupportState, learned: Learned, support: Support, usual: Tensor | None = None
) -> Familiarity:
    """How near the solved prompts of a support are to each other.

    Args:
        state: Of the support.
        learned: What training produced.
        support: What the router has seen.
        usual: What `Familiarity.usual` is, where that is known already.
    """
    transform, raw = learned.transforms.features.prompts, support.raw
    is_solved = state.messages.row_start.diff() > 0
    num_neighbours = learned.config.graph.num_neighbours

    def compare() -> Familiarity:
        surface = torch.from_numpy(transform.surface(raw.surface)).double()
        with cpu_threads(1):
            return Familiarity.of(state.query_text, surface, is_solved, num_neighbours, usual)

    solved = is_solved.numpy().tobytes()
    parts = (raw.prompts, raw.surface, solved, transform, num_neighbours)
    return support.kept.find("familiarity", parts, compare)


def estimate_outcome_covariance(
    learned: Learned, support: Support, bills: Bills
) -> OutcomeCovariance:
    """How the outcomes of the models on one query go together, by the solved queries.

    Each is scored by the outcomes of others: as long as two computations of the state of half the
    support.
    """
    from graphrouter.training.start import Solved, score_crosswise  # of training: only when asked

    nodes, edges = _read_graph(learned, support, bills)
    group = pd.factorize(np.array(support.prompt_keys, dtype=object))[0].astype(np.int64)
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
    shown = support.read_outcomes()
    edges = encode_outcomes(*support.positions, shown, learned.transforms, bills)
    return support.to_nodes(learned.transforms.features), edges
