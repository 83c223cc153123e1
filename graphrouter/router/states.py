"""What a network makes of a support: states, familiarity, and what outcomes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphrouter.extras import require_torch
from graphrouter.features.bills import Bills
from graphrouter.features.channels import read_columns
from graphrouter.features.outcome_edges import RecordedEdges, encode_outcomes
from graphrouter.features.prompts import Float32Array
from graphrouter.features.tables import NodeTable
from graphrouter.lazy import pandas as pd
from graphrouter.router.learned import Learned
from graphrouter.router.outcome_covariance import OutcomeCovariance, estimate_covariance
from graphrouter.router.parts import Support
from graphrouter.scoring.novelty import Familiarity, TaskLevels
from graphrouter.scoring.search_index import Search, build_search
from graphrouter.scoring.state import FixedTerms, SupportState, arrange_in_rows
from graphrouter.types import FloatArray

if TYPE_CHECKING:
    from graphrouter.training.start import HeldEffects


_COVARIANCE = "outcome_covariance"


class States(NamedTuple):
    """All that is computed once of a support, and that predictions rest on."""

    support: SupportState
    """Texts of queries in single precision, which holds all their bits."""
    familiarity: Familiarity
    levels: TaskLevels


def make_states(learned: Learned, support: Support, bills: Bills) -> States:
    """The states of a support, in double precision.

    Raises:
        NotApplicableError: torch is not installed.
    """
    require_torch("Changing a router, or loading one without states,")
    state = encode_state(learned, support, bills)
    return complete_states(state, learned, support)


def complete_states(
    state: SupportState, learned: Learned, support: Support, usual: FloatArray | None = None
) -> States:
    """The states that follow from that of the support; arguments of `compare_solved`."""
    state = state._replace(
        query_text=state.query_text.astype(np.float32, copy=False),
        messages=state.messages.spread_out(len(support.pool)),
        views=tuple(
            view._replace(text=view.text.astype(np.float32, copy=False)) for view in state.views
        ),
    )
    state = state._replace(terms=FixedTerms.of(state))
    familiarity = compare_solved(state, learned, support, usual)
    return States(state, familiarity, TaskLevels.of(state))


def encode_state(learned: Learned, support: Support, bills: Bills) -> SupportState:
    """The cached state of a support, in double precision.

    Its arrays lie row after row in memory, as they do after saving and loading: then the same bits
    come of them.
    """
    # Here and below: a router whose states are known loads no torch.
    import torch

    from graphrouter.graph.routing_graph import build_graph
    from graphrouter.nn.freed_memory import keep_freed_memory
    from graphrouter.nn.layers import cpu_threads

    keep_freed_memory()
    nodes, edges = _read_graph(learned, support, bills)
    net = learned.precise_net  # made outside of inference: it may be trained on
    with cpu_threads(1), torch.inference_mode():
        graph = build_graph(
            nodes,
            support=edges,
            support_queries=torch.arange(len(support.query_table)),
            target_queries=torch.empty(0, dtype=torch.int64),
            target_tasks=torch.empty(0, dtype=torch.int64),
            num_neighbours=learned.config.graph.num_neighbours,
        )
        state: SupportState = arrange_in_rows(net.encode_support(graph.double()))
    return state


def read_texts(learned: Learned, support: Support) -> Float32Array:
    """Centred unit embeddings of the support queries, (S, dimension)."""
    return learned.transforms.features.prompts.text(support.raw.prompts)


def compare_solved(
    state: SupportState, learned: Learned, support: Support, usual: FloatArray | None = None
) -> Familiarity:
    """How near the solved prompts of a support are to each other.

    Args:
        state: Of the support.
        learned: What training produced.
        support: What the router has seen.
        usual: What `Familiarity.usual` is, where that is known already.
    """
    transform, raw = learned.transforms.features.prompts, support.raw
    (effect,) = read_columns(support.outcome_table, "effect")
    is_solved = np.zeros(len(support.query_table), dtype=bool)
    is_solved[support.positions.query[~np.isnan(effect)]] = True
    num_neighbours = learned.config.graph.num_neighbours

    def compare() -> Familiarity:
        surface = transform.surface(raw.surface).astype(np.float64)
        text = state.query_text
        if usual is None:  # compared with each other, both sides of a product count
            text = text.astype(np.float64)
        return Familiarity.of(text, surface, is_solved, num_neighbours, usual)

    solved = is_solved.tobytes()
    parts = (raw.prompts, raw.surface, solved, transform, num_neighbours)
    return support.kept.find("familiarity", parts, compare)


def find_outcome_covariance(
    learned: Learned, support: Support, bills: Bills, states: States
) -> OutcomeCovariance:
    """How the outcomes of the models on one query go together; found once for the same states."""
    return support.kept.find(
        _COVARIANCE,
        (states.levels.level,),
        lambda: _estimate_covariances(learned, support, bills),
    )


def find_search(
    learned: Learned, support: Support, state: SupportState, recall: float | None
) -> Search:
    """What finds the solved queries like a prompt; made once for the same prompts.

    Args:
        learned: What training produced.
        support: What the router has seen.
        state: Of the support.
        recall: As in `build_search`.
    """
    prompts, count = learned.transforms.features.prompts, learned.config.graph.num_neighbours
    return support.kept.find(
        "search",
        (support.raw.prompts, prompts, count, str(recall)),
        lambda: build_search(state.query_text, recall, count),
    )


def note_outcome_covariance(
    support: Support, states: States, covariance: OutcomeCovariance
) -> None:
    """Take over what `find_outcome_covariance` has found for the same states before."""
    support.kept.note(_COVARIANCE, (states.levels.level,), covariance)


def _estimate_covariances(learned: Learned, support: Support, bills: Bills) -> OutcomeCovariance:
    """How outcomes go together, by the solved queries.

    Each is scored by the outcomes of others: as long as two computations of the state of half the
    support.
    """
    require_torch("Finding how outcomes go together")
    import torch

    from graphrouter.training.start import Solved, score_crosswise  # of training: only when asked

    nodes, edges = _read_graph(learned, support, bills)
    group = pd.factorize(np.array(support.prompt_keys, dtype=object))[0].astype(np.int64)
    queries = torch.arange(len(support.query_table))
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
    level, slope = (part[:, None] for part in learned.calibration.lines(held.task))
    return estimate_covariance(level + slope * held.logit, held.observed)


def _read_graph(
    learned: Learned, support: Support, bills: Bills
) -> tuple[NodeTable, RecordedEdges]:
    """The nodes and the outcomes of a support."""
    shown = support.read_outcomes()
    edges = encode_outcomes(*support.positions, shown, learned.transforms, bills)
    return support.to_nodes(learned.transforms.features), edges
