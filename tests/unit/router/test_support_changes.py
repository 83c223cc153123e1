"""Models and outcomes that come after training: nothing is trained, and nothing else moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.features.channels import SpendUnit
from graphrouter.router import graph_router as graph
from graphrouter.types import Predictions

NEW = "newcomer"


@pytest.fixture(scope="module")
def whole() -> gr.RoutingDataset:
    return gr.simulate(num_queries=300, num_models=7, seed=11).data


@pytest.fixture(scope="module")
def card(whole: gr.RoutingDataset) -> gr.ModelCard:
    """The card of a model that the router was not trained with, under another name."""
    return whole.pool[whole.pool.names[2]].model_copy(update={"model": NEW})


@pytest.fixture(scope="module")
def trained(whole: gr.RoutingDataset) -> gr.GraphRouter:
    others = [name for i, name in enumerate(whole.pool.names) if i != 2]
    config = gr.load_config(
        overrides=[
            "training.max_epochs=0",
            "training.steps_per_epoch=3",
            "encoder.name=hashing",
            "encoder.dimension=64",
        ]
    )
    return gr.GraphRouter.fit(whole.select_models(others), config)


@pytest.fixture(scope="module")
def graded(whole: gr.RoutingDataset, trained: gr.GraphRouter) -> pd.DataFrame:
    """What the model did on the training queries."""
    outcomes = whole.outcomes[whole.outcomes["model"] == whole.pool.names[2]]
    seen = outcomes["query_id"].isin(trained.provenance.split.train)
    return outcomes[seen].drop(columns="model").reset_index(drop=True)


@pytest.fixture(scope="module")
def prompts(whole: gr.RoutingDataset, trained: gr.GraphRouter) -> list[str]:
    return (
        whole.queries.set_index("query_id")
        .loc[list(trained.provenance.split.test), "prompt"]
        .tolist()
    )


def with_prompts(graded: pd.DataFrame, whole: gr.RoutingDataset) -> pd.DataFrame:
    """The same outcomes on prompts that the router has never seen."""
    named = graded.merge(whole.queries[["query_id", "task", "prompt"]], on="query_id").drop(
        columns="query_id"
    )
    return named.assign(prompt="Quite new. " + named["prompt"])


def assert_equal(first: Predictions, second: Predictions) -> None:
    assert first.models == second.models
    np.testing.assert_array_equal(first.effect, second.effect)
    np.testing.assert_array_equal(first.cost_usd, second.cost_usd)


def test_a_card_alone_makes_a_candidate_and_moves_nobody(
    trained: gr.GraphRouter, card: gr.ModelCard, prompts: list[str]
) -> None:
    wider, before = trained.add_model(card), trained.predict(prompts)
    after = wider.predict(prompts)
    assert wider.models == (*trained.models, NEW)
    np.testing.assert_allclose(after.effect[:, :-1], before.effect, atol=1e-12)
    assert ((after.effect[:, -1] > 0) & (after.effect[:, -1] < 1)).all()
    assert (after.cost_usd[:, -1] > 0).all()
    assert NEW in {candidate.model for candidate in wider.route(prompts[0]).candidates}
    assert NEW not in trained.models, "the old router stays as it was"


def test_what_is_known_of_each_model_can_be_counted(
    trained: gr.GraphRouter, card: gr.ModelCard
) -> None:
    known = trained.add_model(card).count_outcomes().set_index("model")
    assert known.index.tolist() == [*trained.models, NEW]
    assert known.loc[NEW, "num_outcomes"] == 0
    assert np.isnan(known.loc[NEW, "mean_effect"])
    first = trained.models[0]
    theirs = trained.support.outcomes.query("model == @first")["effect"]
    assert known.loc[first, "num_outcomes"] == len(theirs)
    assert known.loc[first, "mean_effect"] == pytest.approx(theirs.mean(), rel=1e-12)


def test_outcomes_sharpen_the_newcomer_and_hardly_move_the_others(
    trained: gr.GraphRouter,
    card: gr.ModelCard,
    graded: pd.DataFrame,
    prompts: list[str],
    whole: gr.RoutingDataset,
) -> None:
    before, blind = trained.predict(prompts), trained.add_model(card).predict(prompts)
    informed = trained.add_model(card, outcomes=graded).predict(prompts)
    test = list(trained.provenance.split.test)
    truth = whole.outcome_matrix("effect", test)[:, 2]
    known = np.isfinite(truth)

    def loss(predictions: Predictions) -> float:
        p = predictions.effect[known, -1]
        return float(-np.mean(truth[known] * np.log(p) + (1 - truth[known]) * np.log(1 - p)))

    assert loss(informed) < loss(blind)
    assert np.abs(informed.effect[:, :-1] - before.effect).mean() < 0.02


@pytest.mark.parametrize("on_new_prompts", [False, True])
def test_adding_and_removing_gives_back_the_router_that_was_there(
    on_new_prompts: bool,
    trained: gr.GraphRouter,
    card: gr.ModelCard,
    graded: pd.DataFrame,
    prompts: list[str],
    whole: gr.RoutingDataset,
) -> None:
    outcomes = with_prompts(graded, whole) if on_new_prompts else graded
    wider = trained.add_model(card, outcomes=outcomes)
    assert len(wider.support.queries) == len(trained.support.queries) + on_new_prompts * len(graded)
    back = wider.remove_model(NEW)
    assert_equal(back.predict(prompts), trained.predict(prompts))
    pd.testing.assert_frame_equal(back.support.outcomes, trained.support.outcomes)


def test_outcomes_may_have_short_names_and_what_is_not_used_is_said(
    trained: gr.GraphRouter,
    graded: pd.DataFrame,
    whole: gr.RoutingDataset,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fresh = with_prompts(graded, whole).assign(model=trained.models[0])
    short = {"cost_usd": "cost", "output_tokens": "tokens", "latency_s": "latency"}
    wide, narrow = (trained.add_outcomes(table) for table in (fresh, fresh.rename(columns=short)))
    pd.testing.assert_frame_equal(wide.support.outcomes, narrow.support.outcomes)
    assert narrow.support.outcomes["cost_usd"].iloc[-1] == fresh["cost_usd"].iloc[-1]
    assert not caplog.text
    trained.add_outcomes(fresh.assign(usd=1.0))
    assert caplog.text.count("not used: column 'usd'.") == 1
    with pytest.raises(DataError, match="'cost' and 'cost_usd' are the same quantity"):
        trained.add_outcomes(fresh.assign(cost=1.0))


def test_outcomes_at_once_and_later_are_the_same(
    trained: gr.GraphRouter, card: gr.ModelCard, graded: pd.DataFrame, prompts: list[str]
) -> None:
    at_once = trained.add_model(card, outcomes=graded)
    later = trained.add_model(card).add_outcomes(graded.assign(model=NEW))
    assert_equal(later.predict(prompts), at_once.predict(prompts))
    again = later.add_outcomes(graded.assign(model=NEW))
    assert len(again.support.outcomes) == len(later.support.outcomes), (
        "a pair has one outcome, the newest"
    )
    worse = later.add_outcomes(graded.assign(model=NEW, effect=0.0)).predict(prompts)
    assert worse.effect[:, -1].mean() < at_once.predict(prompts).effect[:, -1].mean()


def test_a_known_prompt_is_recognised_without_its_id(
    trained: gr.GraphRouter,
    card: gr.ModelCard,
    graded: pd.DataFrame,
    prompts: list[str],
    whole: gr.RoutingDataset,
) -> None:
    named = graded.merge(whole.queries[["query_id", "prompt"]], on="query_id").drop(
        columns="query_id"
    )
    by_prompt, by_id = (
        trained.add_model(card, outcomes=named),
        trained.add_model(card, outcomes=graded),
    )
    assert len(by_prompt.support.queries) == len(trained.support.queries)
    assert_equal(by_prompt.predict(prompts), by_id.predict(prompts))


def test_known_ids_and_new_prompts_may_stand_in_one_table(
    trained: gr.GraphRouter, card: gr.ModelCard
) -> None:
    known = trained.support.queries["query_id"].iloc[0]
    mixed = pd.DataFrame(
        {"query_id": [known, ""], "prompt": ["", "A prompt nobody has seen."], "effect": [1.0, 0.0]}
    )
    joined = trained.add_model(card, outcomes=mixed)
    assert len(joined.support.queries) == len(trained.support.queries) + 1


def test_a_known_id_under_another_prompt_is_refused(
    trained: gr.GraphRouter, card: gr.ModelCard
) -> None:
    known = trained.support.queries["query_id"].iloc[0]
    graded = pd.DataFrame(
        {"query_id": [known], "prompt": ["Something else entirely."], "effect": [1.0]}
    )
    with pytest.raises(
        DataError, match=f"row 1: the router knows query_id '{known}' with another prompt"
    ):
        trained.add_model(card, outcomes=graded)


def test_a_price_counts_in_the_next_decision(
    trained: gr.GraphRouter, prompts: list[str], tmp_path: Path
) -> None:
    model = trained.models[0]
    free = trained.set_price(model, input_usd_per_mtok=0.0, output_usd_per_mtok=0.0)
    dear = trained.set_price(model, input_usd_per_mtok=900.0, output_usd_per_mtok=900.0)
    costs = [router.predict(prompts[:1]).cost_usd[0, 0] for router in (free, trained, dear)]
    assert costs[0] < costs[1] < costs[2]
    policy = gr.Policy(cost_weight=0.9)
    assert dear.route(prompts[0], policy=policy).model != model
    assert trained.pool[model].input_usd_per_mtok != 900.0
    np.testing.assert_array_equal(dear.predict(prompts).effect, trained.predict(prompts).effect)
    dear.save(tmp_path / "dear")
    assert_equal(gr.GraphRouter.load(tmp_path / "dear").predict(prompts), dear.predict(prompts))


def test_a_price_also_counts_where_costs_were_recorded_without_tokens(
    whole: gr.RoutingDataset, card: gr.ModelCard, prompts: list[str], tmp_path: Path
) -> None:
    columns = ["input_tokens", "output_tokens"]
    outcomes = whole.outcomes.assign(**dict.fromkeys(columns, np.nan))
    models = whole.models[whole.models["model"] != card.model]
    data = gr.RoutingDataset.from_frames(
        queries=whole.queries,
        models=models,
        outcomes=outcomes[outcomes["model"] != card.model],
        tasks=whole.tasks,
    )
    router = gr.GraphRouter.fit(
        data, gr.load_config(overrides=["training.max_epochs=0", "training.steps_per_epoch=2"])
    )
    assert router.learned.transforms.channels.spend_unit is SpendUnit.PRICE
    old = router.pool[router.models[0]]
    assert old.input_usd_per_mtok is not None
    assert old.output_usd_per_mtok is not None
    dear = router.set_price(
        old.model,
        input_usd_per_mtok=10 * old.input_usd_per_mtok,
        output_usd_per_mtok=10 * old.output_usd_per_mtok,
    )
    before, after = (one.predict(prompts).cost_usd[:, 0] for one in (router, dear))
    np.testing.assert_allclose(after, 10 * before)
    dear.save(tmp_path / "dear")
    loaded = gr.GraphRouter.load(tmp_path / "dear")
    np.testing.assert_allclose(loaded.predict(prompts).cost_usd[:, 0], after)
    joined = loaded.add_model(card)  # a new encoding of the support
    np.testing.assert_allclose(joined.predict(prompts).cost_usd[:, 0], after)


def test_a_changed_router_is_saved_with_what_was_changed(
    trained: gr.GraphRouter,
    card: gr.ModelCard,
    graded: pd.DataFrame,
    prompts: list[str],
    whole: gr.RoutingDataset,
    tmp_path: Path,
) -> None:
    changed = trained.add_model(card, outcomes=with_prompts(graded, whole)).remove_model(
        trained.models[0]
    )
    changed.save(tmp_path / "a")
    loaded = gr.GraphRouter.load(tmp_path / "a")
    assert_equal(loaded.predict(prompts), changed.predict(prompts))
    assert [(c.what, c.model, c.num_outcomes) for c in loaded.provenance.changes] == [
        ("add_model", NEW, len(graded)),
        ("remove_model", trained.models[0], 0),
    ]
    assert loaded.provenance.seen_prompts > trained.provenance.seen_prompts, (
        "new prompts are no test prompts any more"
    )


def test_a_card_can_be_updated(trained: gr.GraphRouter, prompts: list[str]) -> None:
    model = trained.models[1]
    plain = trained.update_card(gr.ModelCard(model=model))
    assert plain.pool[model].description is None
    assert plain.models == trained.models
    assert len(plain.support.outcomes) == len(trained.support.outcomes)
    assert_equal(plain.update_card(trained.pool[model]).predict(prompts), trained.predict(prompts))


def test_models_join_together_as_one_by_one(
    trained: gr.GraphRouter,
    card: gr.ModelCard,
    graded: pd.DataFrame,
    prompts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = card.model_copy(update={"model": "twin", "description": "Another model."})
    one_by_one = trained.add_model(card, outcomes=graded).add_model(twin)
    make, times = graph.make_states, []
    monkeypatch.setattr(graph, "make_states", lambda *args: times.append(1) or make(*args))
    together = trained.add_models([card, twin], outcomes=graded.assign(model=NEW))
    assert len(times) == 1, "the support is encoded once"
    assert together.models == (*trained.models, NEW, "twin")
    assert_equal(together.predict(prompts), one_by_one.predict(prompts))
    assert [(c.what, c.model, c.num_outcomes) for c in together.provenance.changes] == [
        ("add_model", NEW, len(graded)),
        ("add_model", "twin", 0),
    ]
    assert_equal(
        together.remove_model("twin").remove_model(NEW).predict(prompts), trained.predict(prompts)
    )


def test_a_router_takes_in_several_or_none(
    trained: gr.GraphRouter, card: gr.ModelCard, graded: pd.DataFrame
) -> None:
    for cards, outcomes, said in (
        ([], None, "No card was given"),
        ([card, card], None, f"Two cards are named '{NEW}'"),
        ([card, trained.pool[trained.models[0]]], None, "already"),
        (
            [gr.ModelCard(model=trained.models[0].upper())],
            None,
            f"differs from '{trained.models[0]}' by capitals or spaces alone; expected names that",
        ),
        (
            [card, gr.ModelCard(model=f"{NEW} ")],
            None,
            f"The name '{NEW} ' differs from '{NEW}' by capitals",
        ),
        ([card], graded, "expected model, effect"),
        (card, None, "received a ModelCard; expected a sequence of cards"),
        ([card], graded.head(0).assign(model=NEW), "no rows"),
    ):
        with pytest.raises(DataError, match=said):
            trained.add_models(cards, outcomes=outcomes)
    with pytest.raises(UnknownModelError, match=f"outcomes are of '{trained.models[0]}' too"):
        trained.add_models([card], outcomes=graded.assign(model=trained.models[0]))


def test_replacing_forgets_what_the_model_did_before(
    trained: gr.GraphRouter,
    card: gr.ModelCard,
    graded: pd.DataFrame,
    prompts: list[str],
    whole: gr.RoutingDataset,
) -> None:
    old, new = with_prompts(graded.head(30), whole).assign(effect=0.0), graded.tail(20)
    changed = trained.add_model(card, outcomes=old).add_outcomes(
        new.assign(model=NEW), replace=True
    )
    assert_equal(changed.predict(prompts), trained.add_model(card, outcomes=new).predict(prompts))
    assert len(changed.support.queries) == len(trained.support.queries), (
        "prompts of nobody's outcomes are gone"
    )
    assert changed.support.outcomes["model"].value_counts()[trained.models[0]] > 0, (
        "the others keep theirs"
    )
    assert [(c.what, c.model, c.num_outcomes) for c in changed.provenance.changes][1:] == [
        ("replace_outcomes", NEW, 20)
    ]


def test_replacing_may_name_a_query_that_came_with_the_older_outcomes(
    trained: gr.GraphRouter, card: gr.ModelCard, graded: pd.DataFrame, whole: gr.RoutingDataset
) -> None:
    wider = trained.add_model(card, outcomes=with_prompts(graded.head(5), whole))
    added = wider.support.outcomes[wider.support.outcomes["model"] == NEW]
    again = wider.add_outcomes(
        added[["query_id", "model"]].head(2).assign(effect=1.0), replace=True
    )
    assert again.support.outcomes.loc[
        again.support.outcomes["model"] == NEW, "effect"
    ].tolist() == [1.0, 1.0]
    assert len(again.support.queries) == len(trained.support.queries) + 2
    with pytest.raises(DataError, match=r"effect is 1\.3"):
        wider.add_outcomes(added[["query_id", "model"]].assign(effect=1.3), replace=True)


def test_bad_input_is_named(
    trained: gr.GraphRouter, card: gr.ModelCard, graded: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match="has a model .* already"):
        trained.add_model(trained.pool[trained.models[0]])
    with pytest.raises(DataError, match="outcomes are of 'somebody'"):
        trained.add_model(card, outcomes=graded.assign(model="somebody"))
    with pytest.raises(DataError, match=r"effect is 1\.3"):
        trained.add_model(card, outcomes=graded.assign(effect=1.3))
    with pytest.raises(DataError, match="no rows"):
        trained.add_model(card, outcomes=graded.head(0))
    with pytest.raises(
        DataError, match="row 1: query_id 'nowhere', which the router does not know"
    ):
        trained.add_model(card, outcomes=graded.assign(query_id="nowhere"))
    with pytest.raises(DataError, match="neither query_id nor prompt"):
        trained.add_model(card, outcomes=graded.drop(columns="query_id"))
    with pytest.raises(DataError, match="expected model, effect"):
        trained.add_outcomes(graded)
    with pytest.raises(DataError, match="'somebody'"):
        trained.add_outcomes(graded.assign(model="somebody"))
    with pytest.raises(UnknownModelError, match="somebody"):
        trained.remove_model("somebody")
    with pytest.raises(DataError, match="greater than or equal to 0"):
        trained.set_price(trained.models[0], input_usd_per_mtok=-1.0, output_usd_per_mtok=1.0)
    two = trained
    for model in trained.models[2:]:
        two = two.remove_model(model)
    with pytest.raises(DataError, match="needs at least 2"):
        two.remove_model(two.models[0])


def test_what_is_no_card_or_no_table_is_named(trained: gr.GraphRouter, card: gr.ModelCard) -> None:
    broken: Any = card.model_dump()
    rows: Any = [{"prompt": "a", "effect": 1.0}]
    with pytest.raises(
        DataError, match="A dict stands for a model; expected a graphrouter.ModelCard"
    ):
        trained.update_card(broken)
    with pytest.raises(DataError, match="A dict stands for a model"):
        trained.add_models([broken])
    with pytest.raises(DataError, match="A dict stands for a model"):
        trained.add_model(broken)
    with pytest.raises(DataError, match="outcomes are a list; expected a pandas frame"):
        trained.add_model(card, outcomes=rows)
    with pytest.raises(DataError, match="outcomes are a list; expected a pandas frame"):
        trained.add_outcomes(rows)
    half: Any = 5.5
    with pytest.raises(DataError, match=r"5\.5 probes were asked for"):
        trained.suggest_probes(half)
