"""Episodes: disjoint, reproducible, with newcomers."""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.graph.builder import ANSWERED_BY, QUERY_IN_TASK
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.training.episodes import (
    draw_episode,
    edges_of,
    hide_descriptions,
    labels_of,
    thin_out_newcomers,
    validation_graph,
)
from graphrouter.training.prepare import TrainingTables


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_state_draws_the_same_episode(tables: TrainingTables, config: gr.TrainConfig) -> None:
    first, again = (draw_episode(tables, config, _generator(5)) for _ in range(2))
    other = draw_episode(tables, config, _generator(6))
    assert torch.equal(first[ANSWERED_BY].edge_index, again[ANSWERED_BY].edge_index)
    assert torch.equal(first["query"].x, again["query"].x)
    assert not torch.equal(first["query"].x, other["query"].x)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_draw_leaks(tables: TrainingTables, config: gr.TrainConfig, seed: int) -> None:
    graph = draw_episode(tables, config, _generator(seed))
    check_no_leakage(graph)
    assert graph[ANSWERED_BY].edge_label_index.shape[1] > 0


def test_copies_of_a_target_stay_out_of_the_support(tables: TrainingTables, config: gr.TrainConfig) -> None:
    copies = tables.prompt_group.clone()
    copies[tables.train_queries] = torch.arange(tables.train_queries.numel()) % 30  # every prompt about three times
    twins = dataclasses.replace(tables, prompt_group=copies)
    group_of = {tuple(row.tolist()): int(group) for row, group in zip(tables.nodes.query_text, copies, strict=True)}
    for seed in range(10):
        graph = draw_episode(twins, config, _generator(seed))
        groups = [group_of[tuple(row.tolist())] for row in graph["query"].x]
        is_support = graph["query"].is_support.tolist()
        support = {group for group, inside in zip(groups, is_support, strict=True) if inside}
        targets = {group for group, inside in zip(groups, is_support, strict=True) if not inside}
        assert targets
        assert not support & targets


def test_validation_outcomes_are_in_no_training_episode(tables: TrainingTables, config: gr.TrainConfig) -> None:
    validation_rows = tables.nodes.query_text[tables.validation_queries]
    for seed in range(5):
        graph = draw_episode(tables, config, _generator(seed))
        assert not (graph["query"].x.unsqueeze(1) == validation_rows).all(2).any()


def test_newcomers_keep_few_outcomes_and_the_others_all(tables: TrainingTables) -> None:
    support, num_models = tables.train, len(tables.pool)
    before = torch.bincount(support.model, minlength=num_models)
    seen_none, seen_some = False, False
    for seed in range(40):
        after = torch.bincount(thin_out_newcomers(support, num_models, 0.5, 20, _generator(seed)).model, minlength=num_models)
        changed = after != before
        assert (after[changed] <= 20).all()
        seen_none |= bool((after == 0).any())
        seen_some |= bool(((after > 0) & changed).any())
    assert seen_none
    assert seen_some
    assert torch.equal(thin_out_newcomers(support, num_models, 0.0, 20, _generator(0)).model, support.model)


def test_a_support_never_becomes_empty(tables: TrainingTables) -> None:
    for seed in range(20):
        assert thin_out_newcomers(tables.train, len(tables.pool), 1.0, 1, _generator(seed)).model.numel() > 0


def test_descriptions_are_hidden_at_the_rate_asked(tables: TrainingTables) -> None:
    assert (hide_descriptions(tables.nodes, 1.0, _generator(0)).model_text == 0).all()
    assert torch.equal(hide_descriptions(tables.nodes, 0.0, _generator(0)).model_text, tables.nodes.model_text)


def test_hidden_tasks_have_no_membership_edge(tables: TrainingTables, config: gr.TrainConfig) -> None:
    known, hidden = (validation_graph(tables, config, task_known=flag) for flag in (True, False))
    num_targets = tables.validation_queries.numel()
    assert known[QUERY_IN_TASK].edge_index.shape[1] - hidden[QUERY_IN_TASK].edge_index.shape[1] == num_targets


def test_labels_land_in_their_cells(tables: TrainingTables, config: gr.TrainConfig) -> None:
    graph = validation_graph(tables, config, task_known=True)
    labels = labels_of(graph)
    edges = edges_of(tables.validation, tables.validation_queries, tables.nodes)
    row = edges.query - tables.validation_queries[0]
    torch.testing.assert_close(labels.channels[:, row, edges.model], edges.channels, equal_nan=True)
    assert int(torch.isfinite(labels.channels[0]).sum()) == edges.query.numel()


def test_costs_are_labels_and_never_messages(tables: TrainingTables, config: gr.TrainConfig) -> None:
    free = dataclasses.replace(
        tables, train=dataclasses.replace(tables.train, scaled_cost=torch.zeros_like(tables.train.scaled_cost))
    )
    graph, same = (draw_episode(t, config, _generator(1)) for t in (tables, free))
    assert torch.equal(graph[ANSWERED_BY].edge_attr, same[ANSWERED_BY].edge_attr)
    assert not torch.equal(graph[ANSWERED_BY].edge_label_cost, same[ANSWERED_BY].edge_label_cost)
