"""What is kept of a support through changes: nothing is computed twice, and no bit differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.features.bills import Bills
from graphrouter.features.prompts import PromptTransform
from graphrouter.features.tables import RawFeatures
from graphrouter.router import graph_router, parts
from graphrouter.router.kept import Kept
from graphrouter.types import Predictions

PROMPTS = ["Translate 'good morning' into French.", "What is 17 * 23?", "x"]
CARD = gr.ModelCard(model="fresh", description="A new one.", input_usd_per_mtok=1.0)


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    data = gr.simulate(num_queries=240, num_models=5, seed=5).data
    config = gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
    return gr.GraphRouter.fit(data, config, instant=True)


def rows(router: gr.GraphRouter, seed: int, *, fresh: int = 12, known: int = 6) -> pd.DataFrame:
    """Outcomes on prompts that nobody has seen, and on some of the support."""
    draw = np.random.default_rng(seed)
    there = router.support.queries["prompt"].tolist()[:known]
    prompts = [*(f"Fresh {seed}, number {i}: what is it?" for i in range(fresh)), *there]
    return pd.DataFrame(
        {
            "prompt": prompts,
            "model": draw.choice(router.models[:4], len(prompts)),
            "effect": draw.integers(0, 2, len(prompts)).astype(float),
            "output_tokens": draw.integers(20, 900, len(prompts)).astype(float),
        }
    )


def forget(router: gr.GraphRouter) -> gr.GraphRouter:
    """The same router, made of its support alone."""
    support = dataclasses.replace(router.support, kept=Kept())
    return gr.GraphRouter(router.learned, support, router.provenance, router.encoder)


def assert_same(first: gr.GraphRouter, second: gr.GraphRouter) -> None:
    mine, theirs = first.predict(PROMPTS), second.predict(PROMPTS)
    for field in dataclasses.fields(Predictions):
        here, there = getattr(mine, field.name), getattr(theirs, field.name)
        if isinstance(here, np.ndarray):
            np.testing.assert_array_equal(here, there, err_msg=field.name)
    assert first.cost_scale == second.cost_scale
    assert first.provenance == second.provenance
    assert [first.route(p) for p in PROMPTS] == [second.route(p) for p in PROMPTS]


def price(router: gr.GraphRouter) -> gr.GraphRouter:
    return router.set_price(router.models[0], input_usd_per_mtok=3.0, output_usd_per_mtok=9.0)


CHANGES: dict[str, Callable[[gr.GraphRouter], gr.GraphRouter]] = {
    "outcomes": lambda r: r.add_outcomes(rows(r, 1)),
    "known queries alone": lambda r: r.add_outcomes(rows(r, 2, fresh=0)),
    "twice": lambda r: r.add_outcomes(rows(r, 1)).add_outcomes(rows(r, 2)),
    "replaced": lambda r: r.add_outcomes(rows(r, 1)).add_outcomes(rows(r, 3), replace=True),
    "removed": lambda r: r.add_outcomes(rows(r, 1)).remove_model(r.models[1]),
    "first removed": lambda r: r.add_outcomes(rows(r, 1)).remove_model(r.models[0]),
    "card": lambda r: r.update_card(CARD.model_copy(update={"model": r.models[2]})),
    "model": lambda r: r.add_models([CARD]).add_outcomes(rows(r, 1)),
    "model with outcomes": lambda r: r.add_models(
        [CARD], outcomes=rows(r, 1).drop_duplicates("prompt").assign(model="fresh")
    ),
    "price": price,
    "task": lambda r: r.add_task("law").add_outcomes(rows(r, 1).assign(task="law").iloc[:12]),
    "all": lambda r: price(
        price(r.add_outcomes(rows(r, 1)).add_models([CARD]).add_task("law"))
        .remove_model(r.models[1])
        .add_models([CARD.model_copy(update={"model": r.models[1]})])
        .add_outcomes(rows(r, 2))
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_router_is_the_one_that_its_support_makes(
    change: str, router: gr.GraphRouter, tmp_path: Path
) -> None:
    before = router.predict(PROMPTS)
    changed = CHANGES[change](router)
    assert_same(changed, forget(changed))
    changed.save(tmp_path / "changed")
    assert_same(changed, gr.load_router(tmp_path / "changed"))
    np.testing.assert_array_equal(router.predict(PROMPTS).effect, before.effect)


def test_branches_of_one_router_do_not_see_each_other(router: gr.GraphRouter) -> None:
    first, second = (router.add_outcomes(rows(router, seed)) for seed in (1, 2))
    for branch in (first, second, first.add_outcomes(rows(router, 3))):
        assert_same(branch, forget(branch))


def test_outcomes_come_in_any_order_and_in_any_parts(router: gr.GraphRouter) -> None:
    first, second = rows(router, 1, known=0), rows(router, 2, known=0)
    ways = (
        router.add_outcomes(first).add_outcomes(second),
        router.add_outcomes(second).add_outcomes(first),
        router.add_outcomes(pd.concat([second, first], ignore_index=True)),
    )
    expected = ways[0].predict(PROMPTS)
    for way in ways[1:]:
        found = way.predict(PROMPTS)
        # Queries stand in another order, and sums round by it.
        np.testing.assert_allclose(found.effect, expected.effect, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.cost_usd, expected.cost_usd, rtol=1e-9)


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("computed again")


def test_a_price_computes_nothing_again(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_router, "make_states", refuse)
    monkeypatch.setattr(parts, "find_positions", refuse)
    monkeypatch.setattr(parts, "hide_suspect_zeros", refuse)
    monkeypatch.setattr(parts, "question_key", refuse)
    monkeypatch.setattr(parts, "question_keys", refuse)
    monkeypatch.setattr(Bills, "read", refuse)
    monkeypatch.setattr(RawFeatures, "count_tokens", refuse)
    monkeypatch.setattr(PromptTransform, "principal", refuse)
    monkeypatch.setattr(parts, "reprice_scale", refuse)
    monkeypatch.setattr(parts, "read_tariff", refuse)
    assert price(price(router)).pool[router.models[0]].input_usd_per_mtok == 3.0


def test_coordinates_of_a_solved_query_are_computed_once(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal, counts = PromptTransform.principal, []

    def count(transform: PromptTransform, embeddings: Any, surface: Any) -> Any:
        counts.append(len(embeddings))
        return principal(transform, embeddings, surface)

    monkeypatch.setattr(PromptTransform, "principal", count)
    wider = router.add_outcomes(rows(router, 1, fresh=7)).add_models([CARD])
    wider.add_outcomes(rows(router, 2, fresh=0)).add_outcomes(rows(router, 3, fresh=2))
    assert counts == [7, 2]


def test_a_value_is_computed_again_when_a_part_is_exchanged() -> None:
    kept, first = Kept(), [1]
    assert kept.latest("sum") is None
    assert kept.find("sum", (first, ("a",)), lambda: "one") == "one"
    assert kept.find("sum", (first, ("a",)), lambda: "two") == "one", "equal names are the same"
    other = kept.copy()
    assert other.find("sum", ([1], ("a",)), lambda: "two") == "two", "an equal list is another one"
    assert kept.find("sum", (first, ("a",)), lambda: "three") == "one"
    assert kept.find("sum", (first, ("b",)), lambda: "three") == "three"
    assert kept.find("sum", (first,), lambda: "four") == "four", "other parts altogether"
