"""Outcomes told beside settled states: a function of all of them, near to what settling says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError
from graphrouter.router.unsettled import Unsettled

FIELDS = ("effect", "effect_low", "effect_high", "cost_usd", "latency_s", "familiarity")


@pytest.fixture(scope="module")
def asked(data: gr.RoutingDataset) -> list[str]:
    return [*data.queries["prompt"].tail(20), "Add 3 and 4.", "Name a river of France.", ""]


@pytest.fixture(scope="module")
def later(router: gr.GraphRouter) -> pd.DataFrame:
    """New prompts, prompts that were solved, a repeat of a known pair, and what nobody graded."""
    models, solved = router.models, router.support.queries["prompt"].tolist()
    known = router.support.outcomes.iloc[3]
    rows = [
        ("Add 1 and 2.", models[0], 1.0, 0.002),
        ("Add 1 and 2.", models[1], 0.0, None),
        ("Add 3 and 5.", models[0], 0.0, 0.001),
        ("Name a river of Italy.", models[3], 1.0, None),
        (solved[5], models[2], 0.3, 0.004),
        (solved[9], models[4], None, 0.004),
        ("Add 1 and 2.", models[0], 0.0, 0.003),
    ]
    frame = pd.DataFrame(rows, columns=["prompt", "model", "effect", "cost_usd"])
    again = {"query_id": known["query_id"], "model": known["model"], "effect": 1 - known["effect"]}
    return pd.concat([frame, pd.DataFrame([again])], ignore_index=True)


@pytest.fixture(scope="module")
def quick(router: gr.GraphRouter, later: pd.DataFrame) -> gr.GraphRouter:
    return router.add_outcomes(later, settle=False)


def expect_near(
    one: gr.GraphRouter, other: gr.GraphRouter, asked: list[str], within: float
) -> None:
    found, expected = one.predict(asked), other.predict(asked)
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), atol=within, rtol=within, err_msg=name
        )


def test_neither_order_nor_groups_matter(
    router: gr.GraphRouter, later: pd.DataFrame, quick: gr.GraphRouter, asked: list[str]
) -> None:
    one_by_one = router
    for row in np.random.default_rng(0).permutation(len(later)):
        one_by_one = one_by_one.add_outcomes(later.iloc[[row]], settle=False)
    assert one_by_one.num_unsettled == quick.num_unsettled == len(later)
    expect_near(one_by_one, quick, asked, 1e-8)


def test_a_prompt_is_of_the_task_that_is_named_later(
    router: gr.GraphRouter, asked: list[str]
) -> None:
    task = router.known_tasks[0]
    rows = [("Add 1 and 2.", router.models[0], 1.0), ("Add 1 and 2.", router.models[1], 0.0)]
    later = pd.DataFrame(rows, columns=["prompt", "model", "effect"])
    later["task"] = [None, task]
    one_by_one = router
    for row in range(len(later)):
        one_by_one = one_by_one.add_outcomes(later.iloc[[row]], settle=False)
    at_once = router.add_outcomes(later, settle=False)
    expect_near(one_by_one, at_once, [*asked, *later["prompt"]], 1e-8)
    (first, *_) = one_by_one.route("Add 1 and 2.").evidence
    assert first.task == task


def test_settling_is_solving_for_all_of_them(
    router: gr.GraphRouter, later: pd.DataFrame, quick: gr.GraphRouter, asked: list[str]
) -> None:
    settled = quick.settle()
    assert settled.num_unsettled == 0
    assert settled.settle() is settled
    expect_near(settled, router.add_outcomes(later), asked, 1e-12)
    assert len(settled.support.outcomes) == len(quick.support.outcomes)


def test_what_they_say_is_near_to_what_settling_says(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    """Nearer than what was said before, by a half at least."""
    held = data.outcomes[data.outcomes["query_id"].isin(router.provenance.split.test)]
    rows = held.merge(data.queries[["query_id", "prompt", "task"]], on="query_id").head(60)
    quick, settled = (router.add_outcomes(rows, settle=settle) for settle in (False, True))
    assert quick.num_unsettled == 60
    prompts = data.queries["prompt"].tolist()
    before, beside, after = (each.predict(prompts).effect for each in (router, quick, settled))
    assert np.abs(beside - after).mean() < 0.5 * np.abs(before - after).mean()


def test_a_new_prompt_is_evidence_at_once(quick: gr.GraphRouter, router: gr.GraphRouter) -> None:
    evidence = quick.route("Add 1 and 2.").evidence[0]
    assert evidence.prompt == "Add 1 and 2."
    assert evidence.similarity == pytest.approx(1.0)
    # Two runs of the first model, of which one was right.
    assert dict(evidence.effects) == {router.models[0]: 0.5, router.models[1]: 0.0}


def test_a_solved_prompt_has_all_its_outcomes_as_evidence(
    quick: gr.GraphRouter, router: gr.GraphRouter
) -> None:
    prompt = router.support.queries["prompt"][5]
    before, now = (each.route(prompt).evidence[0] for each in (router, quick))
    assert before.prompt == now.prompt == prompt
    changed = router.models[2]
    expected = np.mean([before.effects[changed], 0.3]) if changed in before.effects else 0.3
    assert dict(now.effects) == {**before.effects, changed: pytest.approx(expected)}


def test_a_grade_moves_its_prompt_towards_it(router: gr.GraphRouter) -> None:
    best = router.models[0]
    for effect, sign in ((0.0, -1), (1.0, 1)):
        grade = pd.DataFrame({"prompt": ["Add 7 and 8."], "model": [best], "effect": [effect]})
        told = router.add_outcomes(grade, settle=False).predict(["Add 7 and 8."])
        moved = told.effect[0, 0] - router.predict(["Add 7 and 8."]).effect[0, 0]
        assert sign * moved > 0.01


def test_a_prompt_is_scored_alike_alone_and_in_a_batch(
    quick: gr.GraphRouter, asked: list[str]
) -> None:
    together = quick.predict(asked)
    for row in (0, len(asked) - 2, len(asked) - 1):
        alone = quick.predict([asked[row]])
        np.testing.assert_array_equal(alone.effect[0], together.effect[row])


def test_the_router_before_stays_as_it_was(
    router: gr.GraphRouter, later: pd.DataFrame, asked: list[str]
) -> None:
    before = router.predict(asked).effect
    router.add_outcomes(later, settle=False)
    np.testing.assert_array_equal(router.predict(asked).effect, before)
    assert router.num_unsettled == 0


def test_changes_after_it_know_all_outcomes(
    router: gr.GraphRouter, later: pd.DataFrame, quick: gr.GraphRouter, asked: list[str]
) -> None:
    settled, model = router.add_outcomes(later), router.models[1]
    expect_near(quick.remove_model(model), settled.remove_model(model), asked, 1e-12)
    dear = {"input_usd_per_mtok": 70.0, "output_usd_per_mtok": 90.0}
    expect_near(quick.set_price(model, **dear), settled.set_price(model, **dear), asked, 1e-12)
    assert quick.count_outcomes().equals(settled.count_outcomes())


def test_an_artifact_is_settled(quick: gr.GraphRouter, tmp_path: Path, asked: list[str]) -> None:
    quick.save(tmp_path / "artifact")
    loaded, settled = gr.load_router(tmp_path / "artifact"), quick.settle()
    np.testing.assert_array_equal(loaded.predict(asked).effect, settled.predict(asked).effect)
    # A server without torch takes outcomes in.
    program = (
        "import sys, pandas as pd, graphrouter as gr\n"
        f"router = gr.load_router({str(tmp_path / 'artifact')!r})\n"
        "row = {'prompt': ['Add 2 and 2.'], 'model': [router.models[0]], 'effect': [1.0]}\n"
        "told = router.add_outcomes(pd.DataFrame(row), settle=False)\n"
        "assert told.route('Add 2 and 2.').evidence[0].prompt == 'Add 2 and 2.'\n"
        "assert told.num_unsettled == 1 and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_much_of_a_model_is_settled(router: gr.GraphRouter, monkeypatch: object) -> None:
    fresh = router.add_model(gr.ModelCard(model="fresh"))
    rows = pd.DataFrame({"prompt": [f"Add {i}." for i in range(5)], "model": "fresh", "effect": 1})
    assert fresh.add_outcomes(rows.head(4), settle=False).num_unsettled == 4
    assert fresh.add_outcomes(rows, settle=False).num_unsettled == 0


def test_what_users_grade_is_settled() -> None:
    from graphrouter.bench.simulate import simulate_people

    world = simulate_people(num_queries=60, num_models=3, num_users=3).data
    router = gr.GraphRouter.fit(world, instant=True)
    row = pd.DataFrame({"prompt": ["Hello."], "model": [router.models[0]], "effect": [1.0]})
    assert router.add_outcomes(row, settle=False).num_unsettled == 0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Hello.", "model": "nobody"}, "nobody"),
        ({"query_id": "q-unheard", "model": "MODEL"}, "which the router does not know"),
        ({"prompt": " ", "model": "MODEL"}, "prompt"),
        ({"query_id": "KNOWN", "prompt": "Another text.", "model": "MODEL"}, "another prompt"),
    ],
)
def test_bad_rows_get_the_error_that_settling_gives(
    quick: gr.GraphRouter, row: dict[str, str], said: str
) -> None:
    names = {"MODEL": quick.models[0], "KNOWN": quick.support.query_ids[0]}
    named = {name: names.get(value, value) for name, value in row.items()}
    frame, errors = pd.DataFrame([{**named, "effect": 1.0}]), []
    for settle in (False, True):
        with pytest.raises(DataError, match=said) as caught:
            quick.add_outcomes(frame, settle=settle)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_a_query_that_came_later_keeps_its_prompt(router: gr.GraphRouter) -> None:
    row = {"query_id": "mine", "prompt": "Add 5 and 5.", "model": router.models[0], "effect": 1.0}
    quick = router.add_outcomes(pd.DataFrame([row]), settle=False)
    other = pd.DataFrame([{**row, "prompt": "Add 6 and 6."}])
    with pytest.raises(DataError, match="knows query_id 'mine' with another prompt"):
        quick.add_outcomes(other, settle=False)
    more = quick.add_outcomes(pd.DataFrame([row]).drop(columns="prompt"), settle=False)
    assert more.num_unsettled == 2


def test_nothing_unsettled_has_no_length(router: gr.GraphRouter) -> None:
    assert len(Unsettled.of(router.support, router._states)) == 0
