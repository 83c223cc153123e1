"""Contexts and embeddings through a whole router: learned, served, kept, extended, refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import graphrouter as gr
from graphrouter.bench.simulate.simulated_views import ViewSimulation, simulate_views
from graphrouter.cli.app import app
from graphrouter.data.columns import VIEWS
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import DataError, NotApplicableError
from graphrouter.gateway.store.replaying import LoggedDecision, replay
from graphrouter.graph.hetero_data import name_similarity
from graphrouter.graph.inspect import report_leakage, summarise_graph
from graphrouter.graph.projections import to_networkx
from graphrouter.training.episodes import validation_graph
from graphrouter.training.prepare import prepare
from graphrouter.types import Embedding, Queries

HASHING = ["encoder.name=hashing", "encoder.dimension=64"]


def _ask(world: ViewSimulation, router: gr.GraphRouter) -> tuple[Queries, np.ndarray]:
    test = world.data.queries["query_id"].isin(router.provenance.split.test).to_numpy()
    return Queries.of_frame(world.data.queries[test]), world.effect[test]


@pytest.fixture(scope="module")
def world() -> ViewSimulation:
    """Contexts of most queries, and embeddings of two encoders of some."""
    world = simulate_views("context", num_queries=300, num_models=4, seed=3)
    rng, count = np.random.default_rng(0), len(world.data.queries)
    vectors = [rng.normal(size=(5, 7)[i % 2]) if i % 3 else None for i in range(count)]
    named = [("left", "right")[i % 2] if i % 3 else None for i in range(count)]
    queries = world.data.queries.assign(
        embedding=pd.Series(vectors, dtype=object), embedding_encoder=named
    )
    data = world.data
    data = gr.RoutingDataset.from_frames(
        queries=queries, models=data.models, outcomes=data.outcomes, tasks=data.tasks
    )
    return ViewSimulation(data, world.effect, world.blind, world.kind)


@pytest.fixture(scope="module")
def router(world: ViewSimulation) -> gr.GraphRouter:
    return gr.GraphRouter.fit(world.data, gr.load_config(overrides=HASHING), instant=True)


def test_a_query_is_predicted_alone_as_in_a_batch(
    world: ViewSimulation, router: gr.GraphRouter
) -> None:
    asked, _ = _ask(world, router)
    whole = router.predict(asked).effect
    for row in (0, 1, 2, 7):
        np.testing.assert_array_equal(router.predict(asked.take([row])).effect[0], whole[row])
    backwards = router.predict(asked.take(range(len(asked))[::-1])).effect
    np.testing.assert_array_equal(backwards[::-1], whole)


def test_artifacts_and_newcomers_keep_what_goes_with_queries(
    world: ViewSimulation, router: gr.GraphRouter, tmp_path: Path
) -> None:
    asked, _ = _ask(world, router)
    solved = world.data.outcomes[
        world.data.outcomes["query_id"].isin(router.provenance.split.train)
        & (world.data.outcomes["model"] == router.models[0])
    ]
    wider = router.add_model(
        gr.ModelCard(model="late"), outcomes=solved.assign(model="late").head(40)
    )
    fresh = {"model": "late", "effect": [1, 0, 1], "prompt": ["New?", "New?", ""]}
    known = len(wider.support.query_table)
    views = {
        "context": ["This.", "That.", None],
        "embedding": [None, None, [1.0] * 5],
        "embedding_encoder": [None, None, "left"],
    }
    wider = wider.add_outcomes(pd.DataFrame({**fresh, **views}))
    assert len(wider.support.query_table) == known + 3
    repeated = pd.DataFrame({**fresh, "effect": 0.0}).head(2).assign(context="This.")
    again = wider.add_outcomes(repeated)
    assert len(again.support.query_table) == known + 3, "the same question with the same document"
    wider.save(tmp_path / "kept")
    loaded = gr.load_router(tmp_path / "kept")
    for name in ("effect", "effect_low", "cost_usd"):
        received, expected = (getattr(r.predict(asked), name) for r in (loaded, wider))
        np.testing.assert_array_equal(received, expected)
    stored = b"".join(file.read_bytes() for file in (tmp_path / "kept").iterdir())
    assert b"as the same record of" not in stored, "no text of a document"
    with pytest.raises(DataError, match="'middle'"):
        loaded.add_outcomes(
            pd.DataFrame({"model": ["late"], "effect": [1.0], "prompt": ["Who?"],
                          "embedding": [[1.0] * 5], "embedding_encoder": ["middle"]})
        )  # fmt: skip


def test_what_training_has_not_met_is_refused_or_told_once(
    world: ViewSimulation, router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match="encoder 'middle', of which the router has met none"):
        router.predict(["Who?"], embeddings=[Embedding.of([1.0], "middle")])
    seen = LoggedDecision({}, "m", "Who?", None, 1.0, None, None, Embedding.of([1.0], "middle"))
    with pytest.raises(NotApplicableError, match="^2 of 3 decisions cannot be .* 'middle', of "):
        replay([seen, seen._replace(embedding=None), seen], router, gr.Policy(), again=True)
    five, four = (seen._replace(embedding=Embedding.of([1.0] * n, "left")) for n in (5, 4))
    for log in ([five, four, five], [four, five, five]):
        with pytest.raises(NotApplicableError, match="^1 of 3 decisions .* has 4 numbers; the r"):
            replay(log, router, gr.Policy(), again=True)
    with pytest.raises(
        NotApplicableError, match="^3 of 4 .* of 2 the .*'middle'.* of 1 the .* 4 n"
    ):
        replay([seen, four, five, seen], router, gr.Policy(), again=True)
    with pytest.raises(DataError, match="has 2 numbers; the router was trained on 5"):
        router.route("Who?", embedding=Embedding.of([1.0, 2.0], "left"))
    with pytest.raises(DataError, match="2 entries for 1 prompt"):
        router.predict(["Who?"], contexts=["a", "b"])
    plain = gr.RoutingDataset.from_frames(
        queries=world.data.queries.drop(columns=list(VIEWS)),
        models=world.data.models,
        outcomes=world.data.outcomes,
        tasks=world.data.tasks,
    )
    blind = gr.GraphRouter.fit(plain, gr.load_config(overrides=HASHING), instant=True)
    with caplog.at_level(logging.WARNING):
        told = blind.predict(["Who?"] * 2, contexts=["It was she.", None]).effect
        blind.predict(["Who?"], contexts=["It was she."])
    assert len([r for r in caplog.records if "without contexts" in r.message]) == 1
    np.testing.assert_array_equal(told[0], told[1])
    np.testing.assert_array_equal(told[0], blind.predict(["Who?"]).effect[0])


def test_too_few_to_learn_from_are_told_so_and_keep_their_length(
    world: ViewSimulation, router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    data, first = world.data, router.provenance.split.train[0]
    queries = data.queries.drop(columns=list(VIEWS))
    one = [[0.5, 1.0] if query == first else None for query in queries["query_id"]]
    frames = {"models": data.models, "outcomes": data.outcomes, "tasks": data.tasks}
    queries = queries.assign(embedding=pd.Series(one, dtype=object))
    rare = gr.RoutingDataset.from_frames(queries=queries, **frames)
    few = gr.GraphRouter.fit(rare, gr.load_config(overrides=HASHING), instant=True)
    with caplog.at_level(logging.WARNING):
        few.predict(["Who?"], embeddings=[[1.0, 0.0]])
    assert [r for r in caplog.records if "on too few queries with embeddings" in r.message]
    with pytest.raises(DataError, match="has 3 numbers; the router was trained on 2"):
        few.predict(["Who?"], embeddings=[[1.0, 0.0, 0.0]])


def test_what_differs_from_a_known_query_is_named(router: gr.GraphRouter) -> None:
    query = router.support.queries.iloc[0]
    row = {"query_id": [query["query_id"]], "model": [router.models[0]], "effect": [1.0]}
    for prompt, told in (
        (query["prompt"], "with this prompt and another context or embedding"),
        ("Something else?", "with another prompt"),
    ):
        with pytest.raises(DataError, match=told):
            router.add_outcomes(pd.DataFrame({**row, "prompt": prompt, "context": "Other."}))


def test_the_graph_shows_them_and_leaks_nothing(world: ViewSimulation) -> None:
    data = world.data
    config = gr.load_config(overrides=HASHING)
    split = gr.split_dataset(data, config.split)
    graph = validation_graph(prepare(data, split, HashingEncoder(64)), config, task_known=True)
    report = report_leakage(graph, data, split)
    name = name_similarity("context")[1]
    assert report.edges[name] > 0
    assert set(summarise_graph(data, num_neighbours=8).edges) >= {
        name,
        "similar_in_embedding:left_to",
        "similar_in_embedding:right_to",
    }
    nodes = to_networkx(data).nodes(data=True)
    assert any("num_documents" in told for _, told in nodes)
    assert {told.get("embedding_length") for _, told in nodes} >= {5, 7}


def test_the_command_line_routes_by_them(router: gr.GraphRouter, tmp_path: Path) -> None:
    router.save(tmp_path / "router")
    (tmp_path / "found.txt").write_text("The record covers who it was.", encoding="utf-8")
    views = ["--context", f"@{tmp_path / 'found.txt'}", "--embedding", "[1, 2, 3, 4, 5]"]
    views += ["--encoder", "left"]
    run = CliRunner().invoke(
        app,
        ["route", str(tmp_path / "router"), "Who?", "--json", *views],
    )
    assert run.exit_code == 0, run.output
    expected = router.route(
        "Who?",
        context=["The record covers who it was."],
        embedding=Embedding.of([1, 2, 3, 4, 5], "left"),
    )
    assert json.loads(run.stdout)["effect"] == pytest.approx(expected.effect)
    run = CliRunner().invoke(
        app, ["route", str(tmp_path / "router"), "Who?", "--json", "--context", " "]
    )
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["effect"] == pytest.approx(router.route("Who?").effect)
    run = CliRunner().invoke(app, ["route", str(tmp_path / "router"), "Who?", "--encoder", "left"])
    assert isinstance(run.exception, DataError)
    assert "--encoder is 'left', and there is no --embedding" in str(run.exception)


def test_most_of_what_they_allow_is_found() -> None:
    world = simulate_views("embedding", num_queries=600, num_models=4, seed=0)
    router = gr.GraphRouter.fit(world.data, gr.load_config(overrides=HASHING), instant=True)
    seen, truth = _ask(world, router)
    unseen = Queries.of(seen.prompts, seen.tasks)
    effects = [router.predict(asked).effect for asked in (seen, unseen)]
    found, without, best = (
        truth[np.arange(len(truth)), effect.argmax(axis=1)].mean() for effect in (*effects, truth)
    )
    assert found - without > 0.6 * (best - without) > 0.05
