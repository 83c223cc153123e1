"""One suite for every router: what a caller may rely on, whichever router it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES, find_router
from graphrouter.bench.baselines.methods import paper
from graphrouter.bench.baselines.methods.constants import TRACE
from graphrouter.exceptions import ArtifactError, DataError, NotApplicableError, UnknownModelError
from graphrouter.router.protocol import Router

PROMPTS = ["Translate 'tree' into German.", "Add 3 and 4.", "", "Summarise this: " + "text " * 200]
NAMES = ("graphrouter", *BASELINES)
NEED_COSTS = {"cheapest", "largest_price", "frugal_gpt", "auto_mix", "routerbench_cascade"}
INDIFFERENT = {"cheapest", "largest_price", "random"}
"""These tell the models apart by a trace of their ranking alone, in which a new model takes a
place."""
TRACES = 8 * TRACE
LABEL_FREE = {"smoothie"}
"""These have never seen an effect, so their level means nothing."""
FITTED_TOGETHER = {
    *(
        "routellm_sw",
        "svm",
        "avengers",
        "embed_llm",
        "routellm_mf",
        "mlp",
        "tryage",
        "router_dc",
        "graphrouter_paper",
    ),
    *(
        "graphrouter_paper_ties",
        "hybrid_llm_det",
        "hybrid_llm_prob",
        "hybrid_llm_trans",
        "smoothie",
        "frugal_gpt",
        "auto_mix",
    ),
    "routerbench_cascade",
}
"""These cannot take in a model without being fitted again."""
CARDS = (
    gr.ModelCard(
        model="fresh",
        description="Small and quick.",
        input_usd_per_mtok=0.2,
        output_usd_per_mtok=0.8,
    ),
    gr.ModelCard(model="fresher"),
)


def with_answers(data: gr.RoutingDataset) -> gr.RoutingDataset:
    """The dataset with short made-up answers: right ones agree, wrong ones do not."""
    outcomes = data.outcomes.copy()
    pairs = zip(outcomes["query_id"], outcomes["model"], outcomes["effect"], strict=True)
    outcomes["answer"] = [
        f"answer {query}" if effect > 0.5 else f"{model} guesses {query}"
        for query, model, effect in pairs
    ]
    return gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )


@pytest.fixture(scope="module", autouse=True)
def _short_trainings() -> Iterator[None]:
    """The published GraphRouter trains for 1,000 steps, whatever the data; what the suite asks for
    holds after a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "NUM_STEPS", 20)
        yield


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return with_answers(gr.simulate(num_queries=200, num_models=6, seed=5, missing=0.5).data)


@pytest.fixture(scope="module")
def config() -> gr.TrainConfig:
    return gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])


def fit(name: str, data: gr.RoutingDataset, config: gr.TrainConfig) -> Router:
    split = gr.split_dataset(data, config.split)
    return find_router(name).fit(data, config, split=split)


@pytest.fixture(scope="module")
def fitted(data: gr.RoutingDataset, config: gr.TrainConfig) -> dict[str, Router]:
    return {}


@pytest.fixture(params=NAMES)
def router(
    request: pytest.FixtureRequest,
    fitted: dict[str, Router],
    data: gr.RoutingDataset,
    config: gr.TrainConfig,
) -> Router:
    name = request.param
    if name not in fitted:
        fitted[name] = fit(name, data, config)
    return fitted[name]


def name_of(router: Router) -> str:
    return getattr(router, "name", "graphrouter")


def test_shapes_and_ranges(router: Router, data: gr.RoutingDataset) -> None:
    predictions = router.predict(PROMPTS)
    assert predictions.models == router.models == data.pool.names
    assert predictions.effect.shape == (4, 6)
    known = predictions.effect[np.isfinite(predictions.effect)]
    assert ((known > 0) & (known < 1)).all()
    assert np.isfinite(predictions.effect).any(axis=1).all(), (
        "for every query it has an opinion on some model"
    )
    assert (predictions.cost_usd >= 0).all()


def test_the_same_question_has_the_same_answer(router: Router) -> None:
    np.testing.assert_array_equal(router.predict(PROMPTS).effect, router.predict(PROMPTS).effect)


def test_scores_do_not_depend_on_batch_mates(router: Router, data: gr.RoutingDataset) -> None:
    tasks = [None, data.tasks["task"].iloc[0], None, "no such task"]
    together = router.predict(PROMPTS, tasks=tasks)
    backwards = router.predict(PROMPTS[::-1], tasks=tasks[::-1])
    np.testing.assert_allclose(backwards.effect[::-1], together.effect, atol=1e-9)
    for i, prompt in enumerate(PROMPTS):
        alone = router.predict([prompt], tasks=[tasks[i]])
        np.testing.assert_allclose(alone.effect[0], together.effect[i], atol=1e-9)
        np.testing.assert_allclose(alone.cost_usd[0], together.cost_usd[i], atol=1e-12)


def test_no_query_has_no_prediction(router: Router) -> None:
    predictions = router.predict([])
    assert predictions.effect.shape == predictions.cost_usd.shape == (0, 6)


@pytest.mark.parametrize("preset", ["performance_first", "balanced", "cost_first"])
def test_routes_under_every_preset(router: Router, preset: str) -> None:
    decisions = router.route_batch(PROMPTS, policy=gr.Policy.preset(preset))  # type: ignore[arg-type]
    assert all(decision.model in router.models for decision in decisions)
    alone = router.route(PROMPTS[1], policy=gr.Policy.preset(preset))  # type: ignore[arg-type]
    assert [c.model for c in alone.candidates] == [c.model for c in decisions[1].candidates]
    assert alone.effect == pytest.approx(decisions[1].effect, abs=1e-9)


def test_unobserved_outcomes_are_not_failures(data: gr.RoutingDataset, router: Router) -> None:
    """The data lacks half of its outcomes; had they been read as zeros, the mean would lie that
    much lower."""
    if name_of(router) in LABEL_FREE:
        pytest.skip("it has never seen an effect")
    predicted = router.predict(
        data.queries["prompt"].tolist(), tasks=data.queries["task"].tolist()
    ).effect
    observed = np.where(np.isfinite(predicted), data.outcome_matrix("effect"), np.nan)
    assert float(np.nanmean(predicted)) == pytest.approx(float(np.nanmean(observed)), rel=0.2)


def test_a_loaded_router_predicts_the_same(router: Router, tmp_path: Path) -> None:
    assert hasattr(router, "save")
    router.save(tmp_path / "a")
    loaded = gr.load_router(tmp_path / "a")
    assert type(loaded) is type(router)
    before, after = router.predict(PROMPTS), loaded.predict(PROMPTS)
    np.testing.assert_array_equal(after.effect, before.effect)
    np.testing.assert_array_equal(after.cost_usd, before.cost_usd)
    other = BASELINES["task_mean"] if name_of(router) == "best_single" else BASELINES["best_single"]
    with pytest.raises(ArtifactError, match="expected"):
        other.load(tmp_path / "a")
    assert not list((tmp_path / "a").glob("*.pkl"))


@pytest.mark.parametrize("name", NAMES)
def test_fitting_repeats_and_never_sees_a_test_row(
    name: str, fitted: dict[str, Router], data: gr.RoutingDataset, config: gr.TrainConfig
) -> None:
    """With the outcomes of the test queries turned upside down, everything comes out the same."""
    if name not in fitted:
        fitted[name] = fit(name, data, config)
    test = set(gr.split_dataset(data, config.split).test)
    outcomes = data.outcomes.copy()
    rows = outcomes["query_id"].isin(test).to_numpy()
    rng = np.random.default_rng(0)
    outcomes.loc[rows, "effect"] = 1 - outcomes.loc[rows, "effect"]
    outcomes.loc[rows, "cost_usd"] = rng.permutation(outcomes.loc[rows, "cost_usd"].to_numpy()) * 7
    for column in ("input_tokens", "output_tokens", "latency_s"):
        outcomes.loc[rows, column] = np.nan
    outcomes.loc[rows, "answer"] = "something else"
    changed = gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )
    before, after = fitted[name].predict(PROMPTS), fit(name, changed, config).predict(PROMPTS)
    np.testing.assert_array_equal(after.effect, before.effect)
    np.testing.assert_array_equal(after.cost_usd, before.cost_usd)


@pytest.fixture
def joiner(router: Router) -> Router:
    """A router that can take in models."""
    if name_of(router) in FITTED_TOGETHER:
        pytest.skip("its method has no place for a model that comes later")
    return router


@pytest.fixture(scope="module")
def probes(data: gr.RoutingDataset) -> pd.DataFrame:
    """30 outcomes of the new models, on prompts that were trained on and on new ones."""
    queries = data.queries.head(15)
    prompts = [
        prompt if i % 2 else f"Quite new. {prompt}" for i, prompt in enumerate(queries["prompt"])
    ]
    rows = [
        (card.model, prompt, task, float((i + j) % 3 > 0), 0.001 * (i + 1) * (j + 1))
        for i, (prompt, task) in enumerate(zip(prompts, queries["task"], strict=True))
        for j, card in enumerate(CARDS)
    ]
    return pd.DataFrame(rows, columns=["model", "prompt", "task", "effect", "cost_usd"])


def test_a_model_joins_by_its_card_alone_and_moves_nobody(joiner: Router) -> None:
    before, wider = joiner.predict(PROMPTS), joiner.add_models(CARDS)
    after = wider.predict(PROMPTS)
    assert type(wider) is type(joiner)
    assert wider.models == after.models == (*joiner.models, "fresh", "fresher")
    np.testing.assert_allclose(
        after.effect[:, :-2], before.effect, atol=TRACES if name_of(joiner) in INDIFFERENT else 1e-9
    )
    np.testing.assert_allclose(after.cost_usd[:, :-2], before.cost_usd, rtol=1e-9)
    assert ((after.effect[:, -2:] > 0) & (after.effect[:, -2:] < 1)).all()
    assert (after.cost_usd[:, -2] > 0).all(), "by its list prices"
    assert wider.route(PROMPTS[0]).model in wider.models
    assert wider.predict([]).effect.shape == (0, 8)
    np.testing.assert_array_equal(joiner.predict(PROMPTS).effect, before.effect)


def test_outcomes_place_a_model_and_the_others_stay(joiner: Router, probes: pd.DataFrame) -> None:
    before, wider = joiner.predict(PROMPTS), joiner.add_models(CARDS, outcomes=probes)
    together = wider.predict(PROMPTS)
    assert ((together.effect[:, -2:] > 0) & (together.effect[:, -2:] < 1)).all()
    assert (together.cost_usd[:, -2] > 0).all()
    if (
        name_of(joiner) != "graphrouter"
    ):  # there the others may move a little, and cost is tokens times prices, which the last lacks
        assert (together.cost_usd[:, -1] > 0).all(), "its costs were recorded"
        near = TRACES if name_of(joiner) in INDIFFERENT else 1e-9
        np.testing.assert_allclose(together.effect[:, :-2], before.effect, atol=near)
        np.testing.assert_allclose(together.cost_usd[:, :-2], before.cost_usd, rtol=1e-9)
    for i, prompt in enumerate(PROMPTS):
        alone = wider.predict([prompt])
        np.testing.assert_allclose(alone.effect[0], together.effect[i], atol=1e-9)
        np.testing.assert_allclose(alone.cost_usd[0], together.cost_usd[i], rtol=1e-9)


def test_cards_stand_in_the_order_given(joiner: Router, probes: pd.DataFrame) -> None:
    one = joiner.add_models(CARDS, outcomes=probes).predict(PROMPTS)
    other = joiner.add_models(CARDS[::-1], outcomes=probes).predict(PROMPTS)
    assert other.models[-2:] == ("fresher", "fresh")
    np.testing.assert_allclose(other.effect[:, -2:], one.effect[:, :-3:-1], atol=1e-6)
    np.testing.assert_allclose(other.cost_usd[:, -2:], one.cost_usd[:, :-3:-1], rtol=1e-6)


def test_a_router_with_new_models_is_saved_whole_and_takes_in_more(
    joiner: Router, probes: pd.DataFrame, tmp_path: Path
) -> None:
    wider = joiner.add_model(
        CARDS[0], outcomes=probes[probes["model"] == "fresh"].drop(columns="model")
    )
    wider.save(tmp_path / "a")  # type: ignore[attr-defined]
    loaded = gr.load_router(tmp_path / "a")
    np.testing.assert_array_equal(loaded.predict(PROMPTS).effect, wider.predict(PROMPTS).effect)
    twice = loaded.add_models(CARDS[1:], outcomes=probes[probes["model"] == "fresher"])
    assert twice.models[-2:] == ("fresh", "fresher")
    assert np.isfinite(twice.predict(PROMPTS).effect[:, -2:]).all()


def test_new_models_that_break_the_contract_are_refused(
    joiner: Router, probes: pd.DataFrame
) -> None:
    known = gr.ModelCard(model=joiner.models[0])
    for cards, outcomes, expected in (
        ((known,), None, "already"),
        ((CARDS[0], CARDS[0]), None, "'fresh'"),
        (CARDS[:1], probes, "'fresher'"),
        (CARDS, probes.head(0), "no rows"),
        (CARDS, probes.assign(effect=2.0), "effect is 2"),
    ):
        with pytest.raises((DataError, UnknownModelError), match=expected) as error:
            joiner.add_models(cards, outcomes=outcomes)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="'fresher' too"):
        joiner.add_model(CARDS[0], outcomes=probes)


@pytest.mark.parametrize("name", sorted(FITTED_TOGETHER))
def test_a_method_that_is_fitted_on_all_models_together_says_so(
    name: str, fitted: dict[str, Router], data: gr.RoutingDataset, config: gr.TrainConfig
) -> None:
    if name not in fitted:
        fitted[name] = fit(name, data, config)
    with pytest.raises(NotApplicableError, match="fit it again"):
        fitted[name].add_model(CARDS[0])


def tiny(
    effect: float | None = None, *, costs: bool = True, task: str | None = "t", num_queries: int = 8
) -> gr.RoutingDataset:
    """Three models that were run, one that was not, and as few queries as can be divided."""
    rng = np.random.default_rng(0)
    ids = [f"q{i}" for i in range(num_queries)]
    rows = [
        (query, model, float(rng.random() < 0.5) if effect is None else effect, 0.01 + rng.random())
        for query in ids
        for model in "abc"
    ]
    outcomes = pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"])
    outcomes["answer"] = [
        f"{query} {model if i % 3 else ''}" for i, (query, model, *_) in enumerate(rows)
    ]
    return gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": ids,
                "task": task,
                "prompt": [f"prompt number {i}" for i in range(num_queries)],
            }
        ),
        models=pd.DataFrame({"model": ["a", "b", "c", "never run"]}),
        outcomes=outcomes if costs else outcomes.drop(columns="cost_usd"),
    )


ODD = {
    "no costs": lambda: tiny(costs=False),
    "no tasks": lambda: tiny(task=None),
    "all fail": lambda: tiny(0.0),
    "all succeed": lambda: tiny(1.0),
    "half right": lambda: tiny(0.5, num_queries=5),
}


@pytest.mark.parametrize("oddity", ODD)
@pytest.mark.parametrize("name", BASELINES)
def test_odd_data_is_fitted_or_refused_with_a_reason(
    name: str, oddity: str, config: gr.TrainConfig
) -> None:
    data = ODD[oddity]()
    if oddity == "no costs" and name in NEED_COSTS:
        with pytest.raises(NotApplicableError, match="cost"):
            fit(name, data, config)
        return
    router = fit(name, data, config)
    predictions = router.predict(
        ["prompt number 3", "", "quite another text"], tasks=["t", None, "unknown"]
    )
    assert predictions.effect.shape == (3, 4)
    assert np.isfinite(predictions.effect).any(axis=1).all()
    assert np.isnan(predictions.cost_usd).all() == (oddity == "no costs")
    assert (
        router.route("prompt number 3", policy=gr.Policy.preset("performance_first")).model
        in router.models
    )
