"""Users of a graph router: what their grades move, and how they are forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.simulate import simulate_people
from graphrouter.data.prompt_keys import is_withheld, prompt_key
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import DataError

PROMPT = "What is 17 plus 4?"
ANN, BOB = "user-001", "user-002"


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return simulate_people(num_queries=240, num_models=3, num_users=6, num_teams=2, seed=1).data


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, encoder=HashingEncoder(32), instant=True)


def grades(user: str | None, effect: float, *, model: str, count: int = 5) -> pd.DataFrame:
    prompts = [f"Say the number {i}." for i in range(count)]
    return pd.DataFrame({"prompt": prompts, "model": model, "effect": effect, "user": user})


def test_who_asks_moves_the_answer_and_nobody_named_does_not(router: gr.GraphRouter) -> None:
    plain, named = (
        router.predict([PROMPT] * 3, users=users).effect
        for users in (None, [ANN, "newcomer", None])
    )
    assert not np.allclose(named[0], plain[0])
    np.testing.assert_array_equal(named[2], plain[2])
    assert router.route(PROMPT, user=ANN).candidates


def test_without_a_user_a_router_predicts_what_it_does_without_the_column(
    data: gr.RoutingDataset,
) -> None:
    blind = gr.RoutingDataset.from_frames(
        queries=data.queries.drop(columns=["user", "team"]),
        models=data.models,
        outcomes=data.outcomes,
        tasks=data.tasks,
    )
    routers = [
        gr.GraphRouter.fit(each, config, encoder=HashingEncoder(32), instant=True)
        for each, config in (
            (blind, None),
            (data, gr.load_config(overrides=['network.leave_out=["users"]'])),
        )
    ]
    here, there = (each.predict([PROMPT], users=[ANN]).effect for each in routers)
    np.testing.assert_array_equal(here, there)


def test_grades_of_a_user_move_the_next_answer_of_that_user_most(router: gr.GraphRouter) -> None:
    model = router.models[0]
    taught = router.add_outcomes(grades("eve", 0.0, model=model))
    asked = {"users": ["eve", "adam"]}
    before, after = (each.predict([PROMPT] * 2, **asked).effect[:, 0] for each in (router, taught))
    moved = before - after
    assert moved[0] > 0
    assert moved[0] > abs(moved[1])


def test_blanks_around_a_name_are_no_part_of_it(router: gr.GraphRouter) -> None:
    asked = {"users": [f" {ANN}", "newcomer"], "teams": [None, "team-0\n"]}
    plain = {"users": [ANN, "newcomer"], "teams": [None, "team-0"]}
    here, there = (router.predict([PROMPT] * 2, **each).effect for each in (asked, plain))
    np.testing.assert_array_equal(here, there)
    assert ANN not in router.forget_user(f" {ANN} ").support.people.users


def test_users_that_nothing_is_known_of_are_told_once(
    data: gr.RoutingDataset, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = gr.RoutingDataset.from_frames(
        queries=data.queries.drop(columns=["user", "team"]),
        models=data.models,
        outcomes=data.outcomes,
    )
    blind = gr.GraphRouter.fit(nobody, encoder=HashingEncoder(32), instant=True)
    caplog.clear()
    taught = blind.add_outcomes(grades(ANN, 1.0, model=blind.models[0]))
    taught.predict([PROMPT], users=[ANN])
    assert not caplog.records  # those who are taught are known
    blind.predict([PROMPT], users=[ANN])
    blind.predict([PROMPT], teams=["team-0"])
    assert [r.message for r in caplog.records if "queries without users" in r.message]
    assert len(caplog.records) == 1


def test_a_newcomer_is_the_team_then_the_pool(router: gr.GraphRouter) -> None:
    of_team, of_other, of_none = router.predict(
        [PROMPT] * 3, users=["a", "b", "c"], teams=["team-0", "team-1", None]
    ).effect
    tastes = router._states.support.tastes
    assert tastes is not None
    assert not np.allclose(of_team, of_other)
    assert tastes.shift[-1].tolist() == [0.0] * 3  # the pool
    np.testing.assert_array_equal(
        of_none, router.predict([PROMPT], users=["c"], teams=["unheard of"]).effect[0]
    )


def test_batch_mates_do_not_count(router: gr.GraphRouter) -> None:
    prompts = [PROMPT, "Name three rivers.", PROMPT]
    users = [ANN, None, "newcomer"]
    together = router.predict(prompts, users=users, tasks=[None, "arithmetic", None]).effect
    for row in range(3):
        alone = router.predict(
            prompts[row : row + 1],
            users=users[row : row + 1],
            tasks=[[None, "arithmetic", None][row]],
        ).effect
        np.testing.assert_array_equal(alone[0], together[row])


def test_an_artifact_keeps_the_tastes_to_the_bit(router: gr.GraphRouter, tmp_path: Path) -> None:
    router.save(tmp_path / "a")
    loaded = gr.load_router(tmp_path / "a", encoder=HashingEncoder(32))
    users = [ANN, BOB, "newcomer"]
    here, there = (each.predict([PROMPT] * 3, users=users).effect for each in (router, loaded))
    np.testing.assert_array_equal(here, there)


def test_withheld_names_are_hashed_and_found(router: gr.GraphRouter, tmp_path: Path) -> None:
    router.save(tmp_path / "a", evidence=False)
    assert not [path for path in (tmp_path / "a").iterdir() if ANN.encode() in read(path)]
    loaded = gr.load_router(tmp_path / "a", encoder=HashingEncoder(32))
    here, there = (each.predict([PROMPT], users=[ANN]).effect for each in (router, loaded))
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-9)
    taught = loaded.add_outcomes(grades(ANN, 0.0, model=router.models[0]))
    assert len(taught.support.people.users) == 6  # nobody is there twice
    assert len(loaded.forget_user(ANN).support.people.users) == 5


def read(path: Path) -> bytes:
    """What lies in a file, texts of a table as they are."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_json().encode()
    return path.read_bytes()


class TestForgetUser:
    def test_nothing_of_the_user_is_left_in_the_artifact(
        self, router: gr.GraphRouter, tmp_path: Path
    ) -> None:
        folder = tmp_path / "a"
        router.save(folder)
        router.set_price(router.models[0], input_usd_per_mtok=1, output_usd_per_mtok=2).save(folder)
        queries = router.support.queries
        theirs = queries[queries["user"] == ANN]
        assert any(ANN.encode() in read(path) for path in folder.iterdir())
        forgotten = gr.change_router(
            folder, lambda it: it.forget_user(ANN), encoder=HashingEncoder(32)
        )
        texts = [ANN, *theirs["query_id"], *theirs["prompt"], *map(prompt_key, theirs["prompt"])]
        left = b"".join(read(path) for path in folder.iterdir() if path.is_file())
        assert [text for text in texts if text.encode() in left] == []
        assert len(forgotten.support.query_table) == len(queries) - len(theirs)
        known = gr.load_router(folder, encoder=HashingEncoder(32))
        plain, asked = (known.predict([PROMPT], users=[user]).effect for user in ("new", ANN))
        np.testing.assert_array_equal(plain, asked)

    def test_it_is_the_router_that_never_knew_the_user(
        self, data: gr.RoutingDataset, router: gr.GraphRouter
    ) -> None:
        extra = grades("eve", 0.0, model=router.models[0])
        again = router.add_outcomes(extra).forget_user("eve")
        users = [ANN, "eve", None]
        here, there = (each.predict([PROMPT] * 3, users=users).effect for each in (router, again))
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-12)

    def test_what_two_users_asked_stays_that_of_the_other(self, router: gr.GraphRouter) -> None:
        both = router.add_outcomes(
            pd.concat([grades(user, 1.0, model=router.models[0]) for user in ("eve", "adam")])
        )
        left = both.forget_user("eve")
        asked = left.support.queries["prompt"].str.startswith("Say the number")
        assert set(left.support.queries["user"][asked]) == {"adam"}
        assert prompt_key("Say the number 1.") in left.provenance.seen_prompts

    def test_bad_input_is_refused(self, router: gr.GraphRouter) -> None:
        with pytest.raises(DataError, match="knows no user 'nobody'"):
            router.forget_user("nobody")
        with pytest.raises(DataError, match="user is nan; expected the name"):
            router.forget_user(float("nan"))
        with pytest.raises(DataError, match=r"users\[0\] is ' '"):
            router.predict([PROMPT], users=[" "])
        team = grades(ANN, 1.0, model=router.models[0]).assign(team="team-5")
        with pytest.raises(DataError, match="the router knows the user of team"):
            router.add_outcomes(team)
        query = router.support.queries.iloc[0]
        other = pd.DataFrame(
            {"query_id": [query["query_id"]], "model": router.models[0], "effect": 1.0}
        )
        with pytest.raises(DataError, match=r"is of user .* and user 'somebody' is named"):
            router.add_outcomes(other.assign(user="somebody"))


def test_prompts_of_others_are_cited_by_a_digest(router: gr.GraphRouter) -> None:
    queries = router.support.queries
    theirs = queries[queries["user"] == BOB].iloc[0]
    for user, is_hidden in ((ANN, True), (BOB, False), (None, False)):
        cited = router.route(theirs["prompt"], user=user).evidence[0]
        assert cited.query_id == theirs["query_id"]
        assert is_withheld(cited.prompt) == is_hidden


def test_plans_runs_and_steps_are_of_who_asks(router: gr.GraphRouter) -> None:
    taught = router.add_outcomes(grades("eve", 0.0, model=router.models[0], count=20))
    known, found = (taught.predict([PROMPT], users=[user]).effect for user in (None, "eve"))
    plain, plan = taught.plan(PROMPT), taught.plan(PROMPT, user="eve", team="team-0")
    np.testing.assert_array_equal(plain.asked.predictions.effect, known)
    np.testing.assert_array_equal(plan.asked.predictions.effect, found)
    run = taught.run(PROMPT, ask=lambda model, prompt: "21", judge=lambda *_: 1.0, user="eve")
    assert run.outcomes["user"].tolist() == ["eve"]
    learned = taught.add_outcomes(run.outcomes).support.queries.iloc[-1]
    assert (learned["prompt"], learned["user"]) == (PROMPT, "eve")
    assert "user" not in taught.run(PROMPT, ask=lambda *_: "21", judge=lambda *_: 1.0).outcomes
    steps = [{"prompt": PROMPT, "model": router.models[0]}]
    effects = [taught.route_steps(steps, user=user).steps[0].effect for user in (None, "eve")]
    assert effects == [known[0, 0], found[0, 0]]


def test_a_run_keeps_what_went_with_the_prompt(router: gr.GraphRouter) -> None:
    run = router.run(
        PROMPT,
        ask=lambda model, prompt: "21",
        judge=lambda *_: 1.0,
        context=["Two documents.", "And one more."],
        embedding=[0.0, 1.0],
    )
    row = run.outcomes.iloc[0]
    assert row["context"] == ["Two documents.", "And one more."]
    assert (row["embedding"].tolist(), row["embedding_encoder"]) == ([0.0, 1.0], "own")
    assert router.add_outcomes(run.outcomes).support.queries["view_key"].iloc[-1]


@pytest.mark.parametrize("name", ["user", "team"])
def test_errors_call_who_asks_as_was_given(router: gr.GraphRouter, name: str) -> None:
    message = f"^{name} is ' '; expected a name that is not blank"
    for ask in (router.route, router.plan):
        with pytest.raises(DataError, match=message):
            ask("Hi", **{name: " "})
    with pytest.raises(DataError, match=message):
        router.route_steps([{"prompt": "Hi"}], **{name: " "})
    with pytest.raises(DataError, match=rf"^{name}s\[1\] is ' '"):
        router.route_batch(["Hi", "Ho"], **{f"{name}s": [None, " "]})
