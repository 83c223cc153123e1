"""Episodes: disjoint, reproducible, with newcomers."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.encoders import create_encoder
from graphrouter.graph.hetero_data import ANSWERED_BY, SUPERVISED, TARGET_IN_TASK, from_hetero
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.pool import ModelPool
from graphrouter.training import episodes
from graphrouter.training.episode_losses import Labels
from graphrouter.training.episodes import (
    _draw_shots,
    draw_episode,
    hide_descriptions,
    select_edges,
    support_graph,
    thin_out_models,
    thin_out_tasks,
    validation_graph,
)
from graphrouter.training.prepare import TrainingTables, prepare


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_state_draws_the_same_episode(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    first, again = (draw_episode(tables, config, _generator(5)) for _ in range(2))
    other = draw_episode(tables, config, _generator(6))
    assert torch.equal(first[ANSWERED_BY].edge_index, again[ANSWERED_BY].edge_index)
    assert torch.equal(first["query"].text, again["query"].text)
    assert not torch.equal(first["query"].text, other["query"].text)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_no_draw_leaks(tables: TrainingTables, config: gr.TrainConfig, seed: int) -> None:
    graph = draw_episode(tables, config, _generator(seed))
    check_no_leakage(graph)
    assert graph[SUPERVISED].edge_label_index.shape[1] > 0


def test_copies_of_a_target_stay_out_of_the_support(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    copies = tables.prompt_group.clone()
    copies[tables.train_queries] = (
        torch.arange(tables.train_queries.numel()) % 30
    )  # every prompt about three times
    twins = dataclasses.replace(tables, prompt_group=copies)
    group_of = {
        tuple(row.tolist()): int(group)
        for row, group in zip(tables.nodes.query_principal, copies, strict=True)
    }
    for seed in range(10):
        graph = draw_episode(twins, config, _generator(seed))
        support, targets = (
            {group_of[tuple(row.tolist())] for row in graph[kind].x} for kind in ("query", "target")
        )
        assert targets
        assert not support & targets


def test_validation_outcomes_are_in_no_training_episode(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    validation_rows = tables.nodes.query_principal[tables.validation_queries]
    for seed in range(5):
        graph = draw_episode(tables, config, _generator(seed))
        for kind in ("query", "target"):
            assert not (graph[kind].x.unsqueeze(1) == validation_rows).all(2).any()


def _in_pairs(tables: TrainingTables) -> TrainingTables:
    """The tables with two models a family."""
    return dataclasses.replace(tables, model_family=torch.arange(len(tables.pool)) // 2)


def test_newcomers_keep_few_outcomes_and_the_others_all(tables: TrainingTables) -> None:
    support, num_models = tables.train, len(tables.pool)
    before = torch.bincount(support.model, minlength=num_models)
    seen_none, seen_some = False, False
    for seed in range(40):
        after = torch.bincount(
            thin_out_models(support, tables, 0.5, 20, _generator(seed)).model, minlength=num_models
        )
        changed = after != before
        assert (after[changed] <= 20).all()
        seen_none |= bool((after == 0).any())
        seen_some |= bool(((after > 0) & changed).any())
    assert seen_none
    assert seen_some
    assert torch.equal(
        thin_out_models(support, tables, 0.0, 20, _generator(0)).model, support.model
    )


def test_families_play_the_newcomer_together(tables: TrainingTables) -> None:
    pairs, support = _in_pairs(tables), tables.train
    before = torch.bincount(support.model, minlength=6)
    drawn, apart = set(), False
    for seed in range(40):
        after = torch.bincount(
            thin_out_models(support, pairs, 0.5, 20, _generator(seed)).model, minlength=6
        )
        is_newcomer = (after != before).view(3, 2)
        assert torch.equal(is_newcomer[:, 0], is_newcomer[:, 1])
        drawn.add(tuple(is_newcomer[:, 0].tolist()))
        apart |= bool((after.view(3, 2).diff() != 0)[is_newcomer[:, 0]].any())
    assert len(drawn) == 8, "each family is drawn by itself"
    assert apart, "siblings keep numbers of outcomes of their own"


def test_tables_know_the_families_of_the_data(config: gr.TrainConfig) -> None:
    data = gr.simulate(num_queries=60, num_models=6, seed=2).data
    tables = prepare(data, gr.split_dataset(data, config.split), create_encoder(config.encoder))
    family_of = dict(zip(data.models["model"], data.models["family"], strict=True))
    named = [family_of[name] for name in tables.pool.names]
    assert 1 < len(set(named)) < 6
    for i, j in itertools.combinations(range(6), 2):
        assert (named[i] == named[j]) == (tables.model_family[i] == tables.model_family[j])


def test_some_tasks_keep_few_queries_and_the_others_all(tables: TrainingTables) -> None:
    queries, num_tasks = tables.train_queries, tables.nodes.task_text.shape[0]
    task_of = tables.nodes.query_task.clone()
    task_of[queries[:5]] = -1
    nodes = dataclasses.replace(tables.nodes, query_task=task_of)
    with_unknown = dataclasses.replace(tables, nodes=nodes)
    before = torch.bincount(task_of[queries] + 1, minlength=num_tasks + 1)
    kept_of_first, numbers = set(), set()
    for seed in range(60):
        kept = thin_out_tasks(queries, with_unknown, 0.5, 5, _generator(seed))
        after = torch.bincount(task_of[kept] + 1, minlength=num_tasks + 1)
        assert after[0] == 5, "no task is no newcomer"
        assert torch.equal(kept, queries[torch.isin(queries, kept)]), "order stays"
        assert (after[after != before] <= 5).all()
        if after[1] == 1 < before[1]:
            kept_of_first.add(int(kept[task_of[kept] == 0]))
        numbers |= set(after[after != before].tolist())
    assert len(kept_of_first) > 1, "which queries stay is drawn"
    assert {0, 1, 5} <= numbers
    assert torch.equal(thin_out_tasks(queries, with_unknown, 0.0, 5, _generator(0)), queries)


def test_neither_models_nor_tasks_leave_an_empty_support(tables: TrainingTables) -> None:
    for seed in range(20):
        assert thin_out_models(tables.train, tables, 1.0, 1, _generator(seed)).model.numel() > 0
        assert thin_out_tasks(tables.train_queries, tables, 1.0, 1, _generator(seed)).numel() > 0


def _first_two_models(tables: TrainingTables, family: list[int]) -> TrainingTables:
    """The tables with two models, of these families."""
    pool = ModelPool.of(list(tables.pool)[:2])
    train, validation = (edges.take(edges.model < 2) for edges in (tables.train, tables.validation))
    nodes = dataclasses.replace(
        tables.nodes,
        model_text=tables.nodes.model_text[:2],
        model_card=tables.nodes.model_card[:2],
    )
    return dataclasses.replace(
        tables,
        pool=pool,
        nodes=nodes,
        train=train,
        validation=validation,
        model_family=torch.tensor(family),
    )


@pytest.mark.parametrize("family", [[0, 1], [0, 0]])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_no_episode_has_newcomers_alone(
    tables: TrainingTables, config: gr.TrainConfig, family: list[int], share: float
) -> None:
    two = _first_two_models(tables, family)
    settings = config.training.model_copy(update={"newcomer_share": share, "newcomer_max_shots": 5})
    wild = config.model_copy(update={"training": settings})
    seen = set()
    for seed in range(20):
        episode = draw_episode(two, wild, _generator(seed))
        answers = torch.bincount(episode[ANSWERED_BY].edge_index[1], minlength=2)
        assert answers.max() > 5, "somebody is no newcomer"
        seen.add(bool(answers.min() <= 5))
    # One family plays the newcomer as a whole, and so never; at a share of 1 nobody is left.
    assert seen == ({False, True} if family == [0, 1] and share < 1 else {False})


def test_a_single_task_is_no_newcomer(tables: TrainingTables, config: gr.TrainConfig) -> None:
    task = torch.zeros_like(tables.nodes.query_task)
    one = dataclasses.replace(tables, nodes=dataclasses.replace(tables.nodes, query_task=task))
    settings = config.training.model_copy(update={"newcomer_share": 0.5, "newcomer_max_shots": 1})
    wild = config.model_copy(update={"training": settings})
    for seed in range(10):
        assert draw_episode(one, wild, _generator(seed))["query"].x.shape[0] > 10


def test_shots_span_orders_of_magnitude() -> None:
    shots = _draw_shots(20_000, 300, _generator(0))
    assert torch.equal(shots, shots.round())
    assert (int(shots.min()), int(shots.max())) == (0, 300)
    for most in (0, 3, 30, 100):  # the whole number below x - 1/2, x log-uniform from 1 to 301.5
        expected = math.log(most + 1.5) / math.log(301.5)
        assert (shots <= most).double().mean() == pytest.approx(expected, abs=0.015)


def test_descriptions_of_models_and_tasks_are_hidden_at_the_rate_asked(
    tables: TrainingTables,
) -> None:
    for name in ("model_text", "task_text"):
        text = getattr(tables.nodes, name)
        assert (text != 0).any(1).all()
        assert (getattr(hide_descriptions(tables.nodes, 1.0, _generator(0)), name) == 0).all()
        assert torch.equal(getattr(hide_descriptions(tables.nodes, 0.0, _generator(0)), name), text)
        half = [
            (getattr(hide_descriptions(tables.nodes, 0.5, _generator(seed)), name) == 0).all(1)
            for seed in range(100)
        ]
        assert torch.stack(half).double().mean() == pytest.approx(0.5, abs=0.1)


def test_targets_are_not_in_the_support_and_supervised_pairs_are_theirs(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    for seed in range(5):
        graph = draw_episode(tables, config, _generator(seed))
        support, targets = (
            {tuple(row.tolist()) for row in graph[kind].x} for kind in ("query", "target")
        )
        assert targets
        assert support
        assert not support & targets
        assert "edge_label_index" not in graph[ANSWERED_BY]
        assert "edge_index" not in graph[SUPERVISED]
        query, model = graph[SUPERVISED].edge_label_index
        labelled = torch.stack([graph["target"].position[query], model])
        recorded = torch.stack([tables.train.query, tables.train.model])
        assert (labelled.unsqueeze(2) == recorded.unsqueeze(1)).all(0).any(1).all()


def test_hidden_tasks_have_no_membership_edge(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    known, hidden = (validation_graph(tables, config, task_known=flag) for flag in (True, False))
    num_targets = tables.validation_queries.numel()
    assert (
        known[TARGET_IN_TASK].edge_index.shape[1] - hidden[TARGET_IN_TASK].edge_index.shape[1]
        == num_targets
    )
    assert torch.equal(known["target"].true_task, hidden["target"].true_task)


def test_labels_land_in_their_cells(tables: TrainingTables, config: gr.TrainConfig) -> None:
    graph = validation_graph(tables, config, task_known=True)
    labels = Labels.of(from_hetero(graph))
    edges = select_edges(tables.validation, tables.validation_queries, tables.nodes)
    row = edges.query - tables.validation_queries[0]
    torch.testing.assert_close(labels.channels[:, row, edges.model], edges.channels, equal_nan=True)
    assert int(torch.isfinite(labels.channels[0]).sum()) == edges.query.numel()


def test_costs_are_labels_and_never_messages(
    tables: TrainingTables, config: gr.TrainConfig
) -> None:
    free = dataclasses.replace(
        tables,
        train=dataclasses.replace(
            tables.train, scaled_cost=torch.zeros_like(tables.train.scaled_cost)
        ),
    )
    graph, same = (draw_episode(t, config, _generator(1)) for t in (tables, free))
    messages, others = (each[ANSWERED_BY].edge_attr for each in (graph, same))
    torch.testing.assert_close(messages, others, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(graph[SUPERVISED].edge_label_cost, same[SUPERVISED].edge_label_cost)


def test_validation_is_bounded_by_settings_and_not_by_the_log(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = support_graph(tables, config)
    assert torch.equal(whole.origin.query, tables.train_queries)
    assert torch.equal(whole.origin.target, tables.validation_queries)
    monkeypatch.setattr(episodes, "MOST_SUPPORT", 11)
    monkeypatch.setattr(episodes, "MOST_PAIRS", 3 * len(tables.pool))
    some, again = support_graph(tables, config), support_graph(tables, config)
    assert (len(some.origin.query), len(some.origin.target)) == (11, 3)
    assert torch.equal(some.origin.query, again.origin.query)
    assert torch.isin(some.origin.query, tables.train_queries).all()
    assert torch.equal(some.origin.query, some.origin.query.unique())  # in order, each once
    assert some.supervision is not None
    assert set(some.supervision.outcomes.query.tolist()) <= {0, 1, 2}
    other = support_graph(tables, config.model_copy(update={"seed": config.seed + 1}))
    assert not torch.equal(other.origin.query, some.origin.query)


@given(seed=st.integers(0, 1000))
def test_outcomes_of_sorted_queries_are_looked_up_as_they_would_be_gone_through(
    tables: TrainingTables, seed: int
) -> None:
    order = torch.randperm(len(tables.nodes.query_task), generator=_generator(seed))
    queries = order[: seed % (len(order) + 1)]
    found = select_edges(tables.train, queries, tables.nodes)
    mixed = tables.train.take(torch.arange(len(tables.train.query)).flip(0))
    assert tables.train.is_sorted
    assert not mixed.is_sorted
    gone_through = select_edges(mixed, queries, tables.nodes)
    for name in ("query", "model", "channels", "scaled_cost"):
        ours, theirs = getattr(found, name), getattr(gone_through, name).flip(-1)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


def test_an_episode_of_a_long_log_is_drawn_from_some_of_its_queries(
    tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert episodes.MOST_DRAWN > 20_000  # ordinary logs are drawn from as they always were
    monkeypatch.setattr(episodes, "MOST_DRAWN", 24)
    graphs = [from_hetero(draw_episode(tables, config, _generator(seed))) for seed in range(20)]
    seen = [torch.cat([graph.origin.query, graph.origin.target]) for graph in graphs]
    assert all(12 < len(some) <= 24 and len(some.unique()) == len(some) for some in seen)
    assert set(torch.cat(seen).tolist()) == set(tables.train_queries.tolist())
