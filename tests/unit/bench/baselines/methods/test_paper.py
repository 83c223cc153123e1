"""The published GraphRouter: the dense network against PyG's layers, the trained router against
what it must learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.nn import GeneralConv

import graphrouter as gr
from graphrouter.artifact import read_artifact, write_artifact
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods import paper
from graphrouter.bench.baselines.methods.paper import (
    PaperGraphRouter,
    PaperGraphRouterTies,
    train_nets,
)
from graphrouter.bench.baselines.methods.paper_graph import (
    GraphMaker,
    PaperGraph,
    describe_models,
    labels,
)
from graphrouter.bench.baselines.methods.paper_nets import PaperNets, edge_logits, edge_loss
from graphrouter.bench.observations import Observations
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import GraphRouterError, NotApplicableError
from graphrouter.types import Queries

PRESET = 1
"""The preset whose net is compared."""


def random_graph(num_queries: int = 9, num_models: int = 4, dimension: int = 6) -> PaperGraph:
    generator = torch.Generator().manual_seed(0)
    edge = (torch.rand(num_models, num_queries, generator=generator) < 0.8).float()
    return PaperGraph(
        task=torch.randn(3, dimension, generator=generator),
        task_of_query=torch.arange(num_queries) % 3,
        query=torch.randn(num_queries, dimension, generator=generator),
        model=torch.randn(num_models, dimension, generator=generator),
        attributes=torch.rand(3, 3, num_models, num_queries, generator=generator) * edge,
        edge=edge,
        label=(torch.rand(3, num_models, num_queries, generator=generator) < 0.3).float(),
    )


class PublishedNet(nn.Module):
    """One preset's network out of PyG's and torch's layers, edge by edge, with the weights of
    `PaperNets`."""

    def __init__(self, nets: PaperNets, dimension: int) -> None:
        super().__init__()
        self.task, self.query, self.model = (
            nn.Linear(dimension, 8),
            nn.Linear(dimension, 8),
            nn.Linear(dimension, 16),
        )
        self.attribute = nn.Linear(3, 3)
        self.convs = nn.ModuleList(GeneralConv(16, 16, in_edge_channels=3) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(2))
        pairs = [
            (self.task, nets.task),
            (self.query, nets.query),
            (self.model, nets.models.model),
            (self.attribute, nets.models.attribute),
        ]
        for mine, theirs in zip(self.convs, nets.models.convs, strict=True):
            pairs += [(mine.lin_msg, theirs.message), (mine.lin_edge, theirs.edge)]
        with torch.no_grad():
            for mine, theirs in pairs:
                mine.weight.copy_(theirs.weight[PRESET].T)
                mine.bias.copy_(theirs.bias[PRESET, 0])
            for mine, theirs in zip(self.norms, nets.models.norms, strict=True):
                mine.weight.copy_(theirs.weight[PRESET].flatten())
                mine.bias.copy_(theirs.bias[PRESET].flatten())

    def forward(
        self, graph: PaperGraph, visible: torch.Tensor, predicted: torch.Tensor
    ) -> torch.Tensor:
        """Probabilities of the predicted edges; both masks are (M, Q)."""
        num_queries = graph.query.shape[0]
        queries = torch.cat(
            [self.task(graph.task[graph.task_of_query]), self.query(graph.query)], dim=1
        )
        inputs = torch.cat([queries, self.model(graph.model)])
        model, query = visible.nonzero().T
        edge_index = torch.stack([query, model + num_queries])
        attributes = F.relu(self.attribute(graph.attributes[PRESET, :, model, query].T))
        states = F.relu(self.norms[0](self.convs[0](inputs, edge_index, edge_attr=attributes)))
        states = self.norms[1](self.convs[1](states, edge_index, edge_attr=attributes))
        model, query = predicted.nonzero().T
        return torch.sigmoid((inputs[query] * states[model + num_queries]).mean(dim=1))


def test_the_dense_nets_are_the_published_network() -> None:
    torch.manual_seed(1)
    graph, nets = random_graph(), PaperNets(3, 6)
    with torch.no_grad():
        for norm in nets.models.norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-1, 1)
    published = PublishedNet(nets, 6)
    visible = (torch.rand(4, *graph.edge.shape) < 0.5) * graph.edge
    predicted = graph.edge - visible
    logits = edge_logits(*nets(graph, visible))
    losses = []
    for mask in range(4):  # one mask after the other, as the published code does
        expected = published(graph, visible[mask], predicted[mask])
        np.testing.assert_allclose(
            torch.sigmoid(logits[PRESET, mask][predicted[mask] > 0]).detach(),
            expected.detach(),
            atol=1e-5,
        )
        losses.append(F.binary_cross_entropy(expected, graph.label[PRESET][predicted[mask] > 0]))
    alone = edge_loss(logits[PRESET : PRESET + 1], graph.label[PRESET : PRESET + 1], predicted)
    assert alone.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    for mine, theirs in zip(nets.models.norms, published.norms, strict=True):
        np.testing.assert_allclose(
            mine.mean[PRESET].flatten(), theirs.running_mean, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            mine.variance[PRESET].flatten(), theirs.running_var, rtol=1e-4, atol=1e-5
        )
    nets.eval(), published.eval()
    served = edge_logits(*nets(graph, graph.edge[None]))[PRESET, 0]
    expected = published(graph, graph.edge, torch.ones_like(graph.edge))
    np.testing.assert_allclose(
        torch.sigmoid(served).detach().flatten(), expected.detach(), atol=1e-5
    )


def test_the_gradients_are_those_of_the_published_network() -> None:
    torch.manual_seed(1)
    graph, nets = random_graph(), PaperNets(3, 6)
    published = PublishedNet(nets, 6)
    visible = (torch.rand(1, *graph.edge.shape) < 0.5) * graph.edge
    predicted = graph.edge - visible
    edge_loss(edge_logits(*nets(graph, visible)), graph.label, predicted).backward()
    expected = published(graph, visible[0], predicted[0])
    F.binary_cross_entropy(expected, graph.label[PRESET][predicted[0] > 0]).backward()
    for mine, theirs in [
        (nets.task, published.task),
        (nets.query, published.query),
        (nets.models.model, published.model),
        (nets.models.attribute, published.attribute),
        (nets.models.convs[0].message, published.convs[0].lin_msg),
        (nets.models.convs[1].edge, published.convs[1].lin_edge),
    ]:
        np.testing.assert_allclose(
            mine.weight.grad[PRESET].T, theirs.weight.grad, rtol=1e-3, atol=1e-5
        )


def test_thirteen_thousand_parameters() -> None:
    """As many as the published network with 384-d texts, for each preset."""
    assert sum(p.numel() for p in PaperNets(3, 384).parameters()) == 3 * 13_068


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "NUM_STEPS", 20)
    monkeypatch.setattr(paper, "NUM_MASKS", 2)


def simulated(
    *, validate: bool = True, costs: bool = True, tasks: bool = True, num_models: int = 4
) -> LearningData:
    data = gr.simulate(num_queries=60, num_models=num_models, seed=3, missing=0.5).data
    outcomes = data.outcomes if costs else data.outcomes[["query_id", "model", "effect"]]
    queries = data.queries if tasks else data.queries.assign(task=None)
    data = gr.RoutingDataset.from_frames(queries=queries, models=data.models, outcomes=outcomes)
    ids = data.queries["query_id"].tolist()
    held = ids[45:] if validate else []
    return LearningData.of(data, ids[:45], encoder=HashingEncoder(64), validation_ids=held, seed=0)


def test_labels_take_the_first_of_equals_or_all_of_them() -> None:
    utility = np.array([[0.2, 0.7, 0.7], [np.nan, -1.0, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(labels(utility), [[0, 1, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(
        labels(utility, share_ties=True), [[0, 1, 1], [0, 1, 0], [0, 0, 0]]
    )


def test_the_graph_carries_utility_cost_and_effect() -> None:
    """Costs are scaled within each task over the training rows; the missing cost is the model's
    mean."""
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": ["q0", "q1", "q2", "q3"],
                "task": ["s", "s", "t", None],
                "prompt": list("wxyz"),
            }
        ),
        models=pd.DataFrame({"model": ["a", "b"], "description": ["quick", None]}),
        outcomes=pd.DataFrame(
            [
                ("q0", "a", 1.0, 1.0),
                ("q0", "b", 0.5, 3.0),
                ("q1", "a", 0.0, 2.0),
                ("q2", "b", 1.0, 5.0),
                ("q3", "a", 1.0, np.nan),
            ],
            columns=["query_id", "model", "effect", "cost_usd"],
        ),
    )
    learning = LearningData.of(data, ["q0", "q1", "q2", "q3"], encoder=HashingEncoder(64))
    graph = GraphMaker.of(learning, share_ties=False).graph(learning.train, learning.questions)
    np.testing.assert_array_equal(graph.edge, [[1, 1, 0, 1], [1, 0, 1, 0]])
    cost = [
        [0, 0.5, 0, 0.25],
        [1, 0, 0, 0],
    ]  # q2's only cost is both bounds of its task; q3: mean of 0 and 0.5
    effect = [[1, 0, 0, 1], [0.5, 0, 1, 0]]
    for preset, (effect_weight, cost_weight) in enumerate([(1, 0), (0.5, 0.5), (0.2, 0.8)]):
        utility = effect_weight * np.array(effect) - cost_weight * np.array(cost)
        np.testing.assert_allclose(graph.attributes[preset], [utility, cost, effect], atol=1e-6)
    np.testing.assert_array_equal(graph.label[0], [[1, 1, 0, 1], [0, 0, 1, 0]])
    assert graph.task_of_query.tolist() == [0, 0, 1, 2]
    assert not graph.task[2].any()
    np.testing.assert_allclose(graph.model, HashingEncoder(64).encode(["quick", "b"]), atol=1e-6)


@pytest.mark.usefixtures("quick")
def test_serving_equals_the_nets() -> None:
    learning = simulated()
    assert learning.validation is not None
    assert learning.held_questions is not None
    router = PaperGraphRouter.learn(learning)
    maker = GraphMaker.of(learning, share_ties=False)
    train, held = (
        maker.graph(learning.train, learning.questions),
        maker.graph(learning.validation, learning.held_questions),
    )
    nets, seen = train_nets(train, held, seed=0), train.join(held)
    with torch.no_grad():
        expected = edge_logits(nets.query_states(held), nets(seen, seen.edge[None])[1])[:, 0]
    scores = router.preset_scores(learning.held_questions)
    assert list(scores) == ["performance_first", "balanced", "cost_first"]
    for preset, score in enumerate(scores.values()):
        np.testing.assert_allclose(score, expected[preset].T, rtol=1e-4, atol=1e-4)
    effect = router.predict_effect(learning.held_questions)
    np.testing.assert_allclose(effect, router.curve.apply(scores["performance_first"]))


@pytest.mark.usefixtures("quick")
def test_the_logit_is_linear_in_the_query() -> None:
    router = PaperGraphRouter.learn(simulated())
    vectors = np.random.default_rng(0).normal(size=(2, 64))
    both = np.stack([*vectors, vectors.mean(axis=0)])
    scores = router.preset_scores(Questions(both, Queries.of([""] * 3)))
    for score in scores.values():
        np.testing.assert_allclose(score[2], score[:2].mean(axis=0))


@pytest.mark.usefixtures("quick")
def test_an_unknown_task_is_a_zero_vector() -> None:
    learning = simulated()
    router = PaperGraphRouter.learn(learning)
    known = learning.tasks[0][0]
    effect = router.preset_scores(
        Questions.of(Queries.of(["a"] * 3, [None, "never seen", known]), learning.encoder)
    )["balanced"]
    # Equal rows of one product of matrices: where a row stands may change how it is rounded.
    np.testing.assert_allclose(effect[0], effect[1], rtol=0, atol=1e-9)
    assert (effect[0] != effect[2]).any()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("validate", "costs", "tasks", "num_models", "seed"),
    [
        (False, True, True, 4, 0),
        (True, False, True, 4, 0),
        (True, True, False, 4, 0),
        (True, True, True, 2, 0),
        (True, True, True, 4, 9),
    ],
    ids=["no validation", "no costs", "no tasks", "two models", "another seed"],
)
def test_odd_data(validate: bool, costs: bool, tasks: bool, num_models: int, seed: int) -> None:
    learning = dataclasses.replace(
        simulated(validate=validate, costs=costs, tasks=tasks, num_models=num_models), seed=seed
    )
    router, again = PaperGraphRouter.learn(learning), PaperGraphRouter.learn(learning)
    prompts = ["", "Add 3 and 4.", "Add 3 and 4."]
    predicted = router.predict(prompts, tasks=[None, "arithmetic", None])
    assert ((predicted.effect > 0) & (predicted.effect < 1)).all()
    np.testing.assert_array_equal(
        again.predict(prompts, tasks=[None, "arithmetic", None]).effect, predicted.effect
    )
    np.testing.assert_allclose(
        router.predict(prompts[1:2], tasks=["arithmetic"]).effect[0],
        predicted.effect[1],
        atol=1e-12,
    )


@pytest.mark.usefixtures("quick")
def test_a_model_without_outcomes_and_three_rows() -> None:
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ["q0", "q1", "q2"], "task": None, "prompt": ["x", "x y", "z"]}
        ),
        models=pd.DataFrame({"model": ["a", "b", "new"]}),
        outcomes=pd.DataFrame(
            [("q0", "a", 1.0), ("q1", "b", 1.0), ("q2", "a", 1.0)],
            columns=["query_id", "model", "effect"],
        ),
    )
    effect = (
        PaperGraphRouter.learn(
            LearningData.of(data, ["q0", "q1", "q2"], encoder=HashingEncoder(64))
        )
        .predict(["x"])
        .effect
    )
    assert np.isfinite(effect).all()


def specialists(num_queries: int) -> gr.RoutingDataset:
    """`adder` solves sums, `talker` solves words, `idle` nothing."""
    is_sum = [i % 2 == 0 for i in range(num_queries)]
    prompts = [
        f"add the numbers {i} and {i + 3}" if yes else f"translate the word w{i}"
        for i, yes in enumerate(is_sum)
    ]
    ids = [f"q{i}" for i in range(num_queries)]
    rows = [
        (q, m, float(e), 0.01)
        for q, yes in zip(ids, is_sum, strict=True)
        for m, e in (("idle", 0), ("adder", yes), ("talker", not yes))
    ]
    return gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": ids,
                "task": ["sums" if yes else "words" for yes in is_sum],
                "prompt": prompts,
            }
        ),
        models=pd.DataFrame({"model": ["idle", "adder", "talker"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"]),
    )


@pytest.mark.slow
def test_it_learns_two_specialists() -> None:
    data = specialists(80)
    ids = data.queries["query_id"].tolist()
    learning = LearningData.of(
        data, ids[:60], encoder=HashingEncoder(64), validation_ids=ids[60:], seed=0
    )
    router = PaperGraphRouter.learn(learning)
    predicted = router.predict(
        ["add the numbers 7 and 11", "translate the word w7"], tasks=["sums", "words"]
    )
    assert [router.models[i] for i in predicted.effect.argmax(axis=1)] == ["adder", "talker"]
    assert (predicted.effect.max(axis=1) > predicted.effect.min(axis=1) + 0.2).all()


@pytest.mark.usefixtures("quick")
def test_shared_ties_change_what_is_learned() -> None:
    learning = simulated()
    first, all_of_them = (
        kind.learn(learning).predict(["Add 3 and 4."]).effect
        for kind in (PaperGraphRouter, PaperGraphRouterTies)
    )
    assert not np.allclose(first, all_of_them)


def test_tasks_are_read_by_their_description() -> None:
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ["q0", "q1"], "task": ["s", "t"], "prompt": ["x", "y"]}),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame({"query_id": ["q0", "q1"], "model": ["a", "b"], "effect": [1, 0]}),
        tasks=pd.DataFrame({"task": ["s", "t"], "description": ["Sums of numbers.", None]}),
    )
    maker = GraphMaker.of(
        LearningData.of(data, ["q0", "q1"], encoder=HashingEncoder(64)), share_ties=False
    )
    np.testing.assert_allclose(
        maker.task_vectors[:2], HashingEncoder(64).encode(["Sums of numbers.", "t"]), atol=1e-6
    )


@dataclasses.dataclass(frozen=True)
class Joining:
    """A router that two models are to join, and the networks that it was made of."""

    router: PaperGraphRouter
    nets: PaperNets
    maker: GraphMaker
    data: gr.RoutingDataset
    """All models, the newcomers last."""
    cards: tuple[gr.ModelCard, ...]
    outcomes: pd.DataFrame
    """What was observed of the newcomers, with prompts and tasks; one was never asked."""


@pytest.fixture(scope="module")
def joining() -> Joining:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "NUM_STEPS", 30)
        patch.setattr(paper, "NUM_MASKS", 2)
        data = gr.simulate(num_queries=80, num_models=6, seed=4, missing=0.4).data
        ids, names = data.queries["query_id"].tolist(), data.pool.names
        few = LearningData.of(
            data.select_models(names[:-2]),
            ids[:45],
            encoder=HashingEncoder(64),
            validation_ids=ids[45:60],
        )
        assert few.validation is not None
        assert few.held_questions is not None
        router = PaperGraphRouter.learn(few)
        maker = GraphMaker.of(few, share_ties=False)
        parts = (
            maker.graph(few.train, few.questions),
            maker.graph(few.validation, few.held_questions),
        )
        nets = train_nets(*parts, seed=few.seed).double()
    rows = data.outcomes[data.outcomes["model"] == names[-2]]
    rows = rows[rows["query_id"].isin(ids[20:75])]  # known queries of both sides, and new ones
    outcomes = rows.merge(data.queries[["query_id", "prompt", "task"]], on="query_id")
    cards = tuple(data.pool[name] for name in names[-2:])
    return Joining(router, nets, maker, data, cards, outcomes.drop(columns="query_id"))


def whole_graph(case: Joining) -> PaperGraph:
    """The graph that fitting would have made with the newcomers in it: the nodes and edges of
    before, and those of the newcomers beside them."""
    names = [card.model for card in case.cards]
    data, ids = case.data, case.data.queries["query_id"].tolist()
    old = ~data.outcomes["model"].isin(names) & data.outcomes["query_id"].isin(ids[:60])
    new = (data.outcomes["model"] == names[0]) & data.outcomes["query_id"].isin(ids[20:75])
    data = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes[old | new]
    )
    rows = Observations.of(data, ids[:75])
    maker = dataclasses.replace(
        case.maker,
        model_vectors=np.vstack(
            [case.maker.model_vectors, describe_models(case.router.encoder, case.cards)]
        ),
        mean_cost=np.append(case.maker.mean_cost, [0.0, 0.0]),
    )
    return maker.graph(rows, Questions.of(rows.queries, case.router.encoder)).double()


def test_joining_is_the_trained_network_on_the_whole_graph(joining: Joining) -> None:
    """The sums run over other numbers of rows, so they round otherwise: nothing else differs."""
    router = joining.router
    wider = router.add_models(joining.cards, outcomes=joining.outcomes)
    graph = whole_graph(joining)
    with torch.no_grad():
        expected = joining.nets(graph, graph.edge[None])[1][:, 0]
    np.testing.assert_allclose(wider.model_states, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(wider.model_states[:, :-2], router.model_states)
    prompts, tasks = joining.data.queries["prompt"].tolist(), joining.data.queries["task"].tolist()
    asked = Queries.of(prompts, tasks)
    before, after = router.preset_utilities(asked), wider.preset_utilities(asked)
    assert before is not None
    assert after is not None
    for preset, logits in after.items():
        np.testing.assert_allclose(logits[:, :-2], before[preset], rtol=0, atol=1e-12)
    assert np.ptp(wider.predict(asked).effect[:, -2]) > 0


def test_a_twin_of_a_trained_model_gets_its_state(joining: Joining) -> None:
    """The same description and the same outcomes under another name."""
    data, router = joining.data, joining.router
    name, ids = router.models[1], data.queries["query_id"].tolist()[:60]
    rows = data.outcomes[(data.outcomes["model"] == name) & data.outcomes["query_id"].isin(ids)]
    rows = rows.merge(data.queries[["query_id", "prompt", "task"]], on="query_id")
    twin = data.pool[name].model_copy(
        update={"model": "twin", "description": data.pool[name].description or name}
    )
    wider = router.add_model(twin, outcomes=rows.drop(columns=["query_id", "model"]))
    states = wider.model_states
    np.testing.assert_allclose(states[:, -1], states[:, 1], rtol=0, atol=1e-10)


def test_its_outcomes_and_its_description_both_count(joining: Joining) -> None:
    router, (card, _) = joining.router, joining.cards
    theirs = joining.outcomes.drop(columns="model")
    blind, few, informed = (
        router.add_model(card, outcomes=rows).model_states[:, -1]
        for rows in (None, theirs.head(3), theirs)
    )
    other = card.model_copy(update={"description": "Writes poems about the sea."})
    assert not np.allclose(blind, few)
    assert not np.allclose(few, informed)
    assert not np.allclose(router.add_model(other).model_states[:, -1], blind)
    dear = theirs.assign(cost_usd=theirs["cost_usd"] * 3)
    assert not np.allclose(router.add_model(card, outcomes=dear).model_states[:, -1], informed)


def test_together_or_one_after_the_other_is_the_same(joining: Joining) -> None:
    first, second = joining.cards
    together = joining.router.add_models(joining.cards, outcomes=joining.outcomes)
    one = joining.router.add_model(second).add_model(
        first, outcomes=joining.outcomes.drop(columns="model")
    )
    np.testing.assert_allclose(
        one.model_states[:, [-1, -2]], together.model_states[:, -2:], rtol=1e-9, atol=1e-9
    )


def test_a_missing_cost_is_the_newcomers_mean_or_the_pools(joining: Joining) -> None:
    router, card = joining.router, joining.cards[0]
    assert router.joining is not None
    task = router.tasks[0]
    low, high = router.joining.costs.low_usd[0], router.joining.costs.high_usd[0]

    def states(*costs: float) -> np.ndarray:
        rows = pd.DataFrame(
            {
                "prompt": ["x", "y"],
                "task": task,
                "effect": [1.0, 0.0],
                "cost_usd": list(costs),
            }
        )
        return router.add_model(card, outcomes=rows).model_states[:, -1]

    some = low + 0.4 * (high - low)
    np.testing.assert_allclose(states(some, np.nan), states(some, some), rtol=1e-9)
    pool = low + router.joining.costs.pool * (high - low)
    np.testing.assert_allclose(states(np.nan, np.nan), states(pool, pool), rtol=1e-9)


def test_a_newcomer_that_breaks_the_contract_is_refused(joining: Joining) -> None:
    router, (card, other) = joining.router, joining.cards
    for cards, outcomes, saying in (
        ([joining.data.pool[router.models[0]]], None, "already"),
        ([card], joining.outcomes.assign(effect=7.0), "effect is 7"),
        ([card], joining.outcomes.drop(columns="prompt"), "'prompt' is missing"),
        ([other], joining.outcomes, "is not among the models to add"),
    ):
        with pytest.raises(GraphRouterError, match=saying):
            router.add_models(cards, outcomes=outcomes)


def test_real_models_join_and_move_nobody(
    shared_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family of real models, in its pool's own prompts, prices and gaps."""
    monkeypatch.setattr(paper, "NUM_STEPS", 20)
    monkeypatch.setattr(paper, "NUM_MASKS", 2)
    data = gr.load_dataset(shared_data("reasoning_gym"))
    data = data.select_queries(data.queries["query_id"].tolist()[::20])
    ids, names = data.queries["query_id"].tolist(), data.pool.names
    few = LearningData.of(
        data.select_models(names[:-3]),
        ids[:150],
        encoder=HashingEncoder(64),
        validation_ids=ids[150:],
    )
    router = PaperGraphRouter.learn(few)
    rows = data.outcomes[data.outcomes["model"].isin(names[-3:])]
    rows = rows.merge(data.queries[["query_id", "prompt", "task"]], on="query_id")
    wider = router.add_models(
        [data.pool[name] for name in names[-3:]], outcomes=rows.drop(columns="query_id")
    )
    asked = Queries.of(data.queries["prompt"].tolist(), data.queries["task"].tolist())
    before, after = router.predict(asked), wider.predict(asked)
    np.testing.assert_allclose(after.effect[:, :-3], before.effect, rtol=0, atol=1e-12)
    assert np.isfinite(after.effect).all()
    assert len({tuple(state) for state in wider.model_states[1, -3:].tolist()}) == 3


def test_an_artifact_of_an_earlier_release_predicts_and_takes_in_nobody(
    joining: Joining, tmp_path: Path
) -> None:
    """It knows its own models as it did; nobody wrote down what makes the state of a new one."""
    joining.router.save(tmp_path / "a")
    contents = read_artifact(tmp_path / "a")
    fields = {name: kept for name, kept in contents.manifest["fields"].items() if name != "joining"}
    manifest = {**contents.manifest, "fields": fields}
    write_artifact(tmp_path / "a", dataclasses.replace(contents, manifest=manifest))
    loaded = PaperGraphRouter.load(tmp_path / "a")
    prompts = joining.data.queries["prompt"].tolist()[:5]
    np.testing.assert_array_equal(
        loaded.predict(prompts).effect, joining.router.predict(prompts).effect
    )
    with pytest.raises(NotApplicableError, match="earlier release.*fit it again"):
        loaded.add_models(joining.cards)
