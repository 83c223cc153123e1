"""What is drawn in a training step: an episode.

Target queries, a support that excludes them, models and tasks that play the newcomer, tasks and
descriptions that hide, and the trade-offs of the losses.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from graphrouter.config import TrainConfig, TrainingConfig
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import NodeTable
from graphrouter.graph.routing_graph import RoutingGraph, build_graph
from graphrouter.training.prepare import TrainingTables

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

MOST_SUPPORT = 16_384
"""Solved queries that a network is validated and calibrated with, at most: time and memory are then
bounded, whatever was logged."""
MOST_DRAWN = 32_768
"""Training queries that an episode is drawn from, at most; then some, drawn anew for each episode.
Of a longer log an episode needs no look at all queries; and the few that a task keeps which plays
the newcomer are then among those of its support."""
MOST_PAIRS = 1_000_000
"""Pairs of a query and a model that it is validated and calibrated on, at most."""
_MOST_DRAWS = 20
"""Draws of an episode until its pool says something. With one family or one task, which is a
newcomer or not, one in five fails, and one in 10^14 fails so often."""


class _Draw(NamedTuple):
    """Who asks and who answers in an episode."""

    targets: Tensor
    """(B,) queries to predict."""
    support_queries: Tensor
    """(S,) queries whose outcomes are known, none of the targets nor a copy of one."""
    support: RecordedEdges
    """Their outcomes, of a newcomer only some."""
    has_pool: bool
    """Whether the support has an outcome of a model, and in a task, that is no newcomer."""


def draw_episode(
    tables: TrainingTables, config: TrainConfig, generator: torch.Generator
) -> HeteroData:
    """One training graph.

    Targets and support are disjoint random sets of training queries. Some families of models and
    some tasks play the newcomer: in the support such a model keeps only k outcomes, such a task
    only k queries, k log-uniform from 0. Some models and tasks hide their description; some targets
    hide their task. All random numbers come from `generator`.

    A newcomer is new to a pool. Of two models both play it in an episode of twenty-five, and then
    the pool says nothing: such an episode is drawn again.
    """
    settings = config.training
    draw = _draw_pool(tables, settings, generator)
    num_targets = draw.targets.numel()
    hidden = torch.rand(num_targets, generator=generator) < settings.hide_task
    graph = build_graph(
        hide_descriptions(tables.nodes, settings.hide_description, generator),
        support=draw.support,
        support_queries=draw.support_queries,
        target_queries=draw.targets,
        target_tasks=torch.where(hidden, -1, tables.nodes.query_task[draw.targets]),
        num_neighbours=config.graph.num_neighbours,
        labels=select_edges(tables.train, draw.targets, tables.nodes),
        trade_off=torch.rand(num_targets, generator=generator) ** 2 * 2,
    )
    return _export(graph)


def _draw_pool(
    tables: TrainingTables, settings: TrainingConfig, generator: torch.Generator
) -> _Draw:
    """The first of some draws in which the pool says something, else one without newcomers."""
    for _ in range(_MOST_DRAWS):
        draw = _draw_once(tables, settings, settings.newcomer_share, generator)
        if draw.has_pool:
            return draw
    return _draw_once(tables, settings, 0.0, generator)


def _draw_once(
    tables: TrainingTables, settings: TrainingConfig, share: float, generator: torch.Generator
) -> _Draw:
    """A draw in which that share of the families and of the tasks plays the newcomer."""
    queries = tables.train_queries
    if queries.numel() > MOST_DRAWN:  # with repeats, which are left out: no look at all of them
        drawn = torch.randint(queries.numel(), (MOST_DRAWN,), generator=generator)
        queries = queries[torch.unique(drawn)]
    shuffled = queries[torch.randperm(queries.numel(), generator=generator)]
    num_targets, most = _count_targets(shuffled.numel(), settings), settings.newcomer_max_shots
    targets, rest = shuffled[:num_targets], shuffled[num_targets:]
    kept = thin_out_tasks(rest, tables, share, most, generator)
    task_of = tables.nodes.query_task + 1  # 0 = unknown
    is_old_task = _find_unchanged(task_of[rest], task_of[kept])
    # A copy of a target in the support would give its outcomes away; at prediction there is none.
    kept = kept[~torch.isin(tables.prompt_group[kept], tables.prompt_group[targets])]
    support_queries = kept[: settings.support_queries]
    every = select_edges(tables.train, support_queries, tables.nodes)
    support = thin_out_models(every, tables, share, most, generator)
    is_old_model = _find_unchanged(every.model, support.model)
    is_old = is_old_model[support.model] & is_old_task[task_of[support.query]]
    return _Draw(targets, support_queries, support, has_pool=bool(is_old.any()))


def _find_unchanged(before: Tensor, after: Tensor) -> Tensor:
    """Which groups have as many entries as before, by number of the group: bool."""
    size = int(before.max()) + 1 if before.numel() else 0
    return torch.bincount(before, minlength=size) == torch.bincount(after, minlength=size)


def steps_per_epoch(num_queries: int, settings: TrainingConfig) -> int:
    """Episodes in an epoch, at least 1.

    As many as are asked for, or fewer where training queries would be targets too often.

    Args:
        num_queries: Training queries.
        settings: Of the training.

    Example:
        >>> from graphrouter.config import TrainingConfig
        >>> [steps_per_epoch(num, TrainingConfig()) for num in (100, 1000, 10000)]
        [9, 9, 25]
    """
    visits_an_epoch = settings.max_visits / settings.max_epochs
    wanted = math.ceil(visits_an_epoch * num_queries / _count_targets(num_queries, settings))
    return max(1, min(settings.steps_per_epoch, wanted))


def _count_targets(num_queries: int, settings: TrainingConfig) -> int:
    """Target queries of an episode: at most a quarter of all, so that a support is left."""
    return max(1, min(settings.batch_queries, num_queries // 4))


def support_graph(
    tables: TrainingTables, config: TrainConfig, *, task_known: bool = True
) -> RoutingGraph:
    """The graph of training queries as support and validation queries as targets.

    All of them, but for the bounds `MOST_SUPPORT` and `MOST_PAIRS`; then some, drawn by the seed.

    Args:
        tables: The prepared dataset.
        config: All settings.
        task_known: Whether the targets name their task, or hide it.
    """
    support_queries = draw_queries(tables.train_queries, MOST_SUPPORT, config.seed)
    most = max(1, MOST_PAIRS // len(tables.pool))
    targets = draw_queries(tables.validation_queries, most, config.seed)
    true_task = tables.nodes.query_task[targets]
    return build_graph(
        tables.nodes,
        support=select_edges(tables.train, support_queries, tables.nodes),
        support_queries=support_queries,
        target_queries=targets,
        target_tasks=true_task if task_known else torch.full_like(true_task, -1),
        num_neighbours=config.graph.num_neighbours,
        labels=select_edges(tables.validation, targets, tables.nodes),
    )


def draw_queries(queries: Tensor, most: int, seed: int) -> Tensor:
    """At most so many of the queries, in their order; all of them where these are no more."""
    if len(queries) <= most:
        return queries
    drawn = torch.randperm(len(queries), generator=torch.Generator().manual_seed(seed))
    return queries[torch.sort(drawn[:most]).values]


def validation_graph(
    tables: TrainingTables, config: TrainConfig, *, task_known: bool
) -> HeteroData:
    """The graph of `support_graph` for PyTorch Geometric; arguments as there."""
    return _export(support_graph(tables, config, task_known=task_known))


def _export(graph: RoutingGraph) -> HeteroData:
    """The graph for PyTorch Geometric, checked for leakage."""
    # Here and not above: they load PyTorch Geometric, and routers that serve score solved queries
    # crosswise on graphs of this module without it.
    from graphrouter.graph.hetero_data import to_hetero
    from graphrouter.graph.leakage import check_no_leakage

    data = to_hetero(graph)
    check_no_leakage(data)
    return data


def select_edges(edges: RecordedEdges, queries: Tensor, nodes: NodeTable) -> RecordedEdges:
    """The outcomes of some queries, in the order in which they stand.

    Those that are sorted by query, as training outcomes are, are looked up and not gone through.
    """
    if edges.is_sorted:
        each = torch.unique(queries)
        first = torch.searchsorted(edges.query, each)
        count = torch.searchsorted(edges.query, each, right=True) - first
        start = torch.repeat_interleave(first - (count.cumsum(0) - count), count)
        return edges.take(start + torch.arange(len(start)))
    wanted = torch.zeros(nodes.query_text.shape[0], dtype=torch.bool)
    wanted[queries] = True
    return edges.take(wanted[edges.query])


def thin_out_models(
    support: RecordedEdges,
    tables: TrainingTables,
    share: float,
    max_shots: int,
    generator: torch.Generator,
) -> RecordedEdges:
    """The support in which models that play the newcomer keep only k random outcomes each.

    These are the models of a random `share` of the families, k log-uniform up to `max_shots`.
    Families go whole: with its siblings there, a newcomer would be no newcomer.
    """
    num_models = len(tables.pool)
    is_newcomer = (torch.rand(num_models, generator=generator) < share)[tables.model_family]
    shots = _draw_shots(num_models, max_shots, generator)
    keep = ~is_newcomer[support.model] | (
        _draw_ranks(support.model, generator) < shots[support.model]
    )
    return support.take(keep) if keep.any() else support


def thin_out_tasks(
    queries: Tensor,
    tables: TrainingTables,
    share: float,
    max_shots: int,
    generator: torch.Generator,
) -> Tensor:
    """The queries in which a random `share` of the tasks keeps only k random queries each.

    All of them where none would stay.
    """
    task = tables.nodes.query_task[queries] + 1  # 0 = unknown
    num_tasks = tables.nodes.task_text.shape[0]
    is_newcomer = torch.rand(num_tasks + 1, generator=generator) < share
    is_newcomer[0] = False
    shots = _draw_shots(num_tasks + 1, max_shots, generator)
    keep = ~is_newcomer[task] | (_draw_ranks(task, generator) < shots[task])
    return queries[keep] if keep.any() else queries


def _draw_shots(size: int, largest: int, generator: torch.Generator) -> Tensor:
    """Whole numbers from 0 to `largest`, log-uniform: (size,)."""
    return torch.floor(
        torch.exp(torch.rand(size, generator=generator) * math.log(largest + 1.5)) - 0.5
    )


def _draw_ranks(group: Tensor, generator: torch.Generator) -> Tensor:
    """Place of each entry in a random order of its group, from 0: (n,), as `group` int64."""
    order = torch.argsort(torch.rand(group.numel(), generator=generator))
    together = order[torch.argsort(group[order], stable=True)]
    counts = torch.bincount(group)
    rank = torch.empty_like(group)
    rank[together] = torch.arange(group.numel()) - (counts.cumsum(0) - counts)[group[together]]
    return rank


def hide_descriptions(nodes: NodeTable, share: float, generator: torch.Generator) -> NodeTable:
    """The nodes with the description of a random share of the models and of the tasks missing."""

    def hide(text: Tensor) -> Tensor:
        return text.masked_fill(torch.rand(text.shape[0], 1, generator=generator) < share, 0.0)

    return dataclasses.replace(
        nodes, model_text=hide(nodes.model_text), task_text=hide(nodes.task_text)
    )
