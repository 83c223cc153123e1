"""Judges of answers that nobody has graded: read from a file, asked behind the answer, believed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.decision import Decision
from graphrouter.exceptions import ConfigError
from graphrouter.gateway import Memory, create_app
from graphrouter.gateway.answer_texts import read_answer_text, read_streamed_text
from graphrouter.gateway.background_judging import BackgroundJudging
from graphrouter.gateway.judge_settings import JudgeSettings, load_judges
from graphrouter.gateway.redaction import Redaction
from graphrouter.gateway.store import GroupCommit, Store
from graphrouter.gateway.store.judged_outcomes import read_overlap
from graphrouter.gateway.store.spending import read_spent
from graphrouter.gateway.store.store_tables import budgets, outcomes
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.token_prices import TokenPrices
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_exploring import make_decision
from tests.unit.gateway.test_gateway import connect, post
from tests.unit.gateway.test_learning import read
from tests.unit.gateway.test_memory import PRICES, ask, rows, wait_for

Start = Callable[..., str]
PATTERN: dict[str, Any] = {"name": "said", "share": 1.0, "after_s": 0, "pattern": "answers"}


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a new store is to be."""
    return str(tmp_path / "gateway.db")


@pytest.fixture
def start(router: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str) -> Start:
    """Starts a gateway with judges; gives its address."""

    def start(*judges: JudgeSettings, prices: TokenPrices | None = PRICES, **kept: Any) -> str:
        memory = Memory(
            Store.open(place), WhatIsKept(dict.fromkeys(router.models, PRICES), "0f3c", **kept)
        )
        priced = {name: (each[0]._replace(prices=prices),) for name, each in deployments.items()}
        return serve(create_app(router, priced, memory=memory, judges=judges))

    return start


def test_an_answer_is_judged_behind_it(router: gr.GraphRouter, store: Store, start: Start) -> None:
    """Whole or streamed: the grade is what is believed of it, with who gave it and how surely."""
    address = start(JudgeSettings(**PATTERN, reliability="rates:0.9,0.3"), prompts="full")
    headers = ask(address, "Add 3 and 4.")
    with connect(address) as client:
        asked: Any = [{"role": "user", "content": "Add 5 and 4."}]
        for _ in client.chat.completions.create(model="auto", messages=asked, stream=True):
            pass
    wait_for(lambda: len(rows(store, outcomes)) == 2)
    first, second = rows(store, outcomes)
    assert first.decision_id == headers["x-graphrouter-decision"]
    assert (first.grader, first.score, first.chance) == ("judge:said", 1.0, 1.0)
    assert (first.hit_rate, first.false_alarm_rate) == (0.9, 0.3)
    expected = router.route("Add 3 and 4.").effect
    assert first.effect == pytest.approx(gr.Grade(1.0, 0.9, 0.3).believe(expected))
    assert (first.prompt, second.prompt) == ("Add 3 and 4.", "Add 5 and 4.")
    judged = 'graphrouter_judged_answers_total{judge="said",result="judged"} 2.0'
    wait_for(lambda: judged in read(address, "/metrics"))  # counted once it is written down


def test_prompts_are_kept_where_the_operator_keeps_them(store: Store, start: Start) -> None:
    ask(start(JudgeSettings(**PATTERN)))
    wait_for(lambda: len(rows(store, outcomes)) == 1)
    assert rows(store, outcomes)[0].prompt is None


def test_what_others_have_graded_is_left_to_them(store: Store, start: Start) -> None:
    late = {**PATTERN, "after_s": 1.5}
    address = start(JudgeSettings(**late, checks=0.0))
    decision = ask(address)["x-graphrouter-decision"]
    assert post(address, "/outcomes", {"decision": decision, "thumb": "up"})[0] == 200
    left = 'graphrouter_judged_answers_total{judge="said",result="graded"} 1.0'
    wait_for(lambda: left in read(address, "/metrics"))
    assert [row.grader for row in rows(store, outcomes)] == ["client"]


def test_a_model_judges_by_a_rubric_within_its_dollars(
    router: gr.GraphRouter, store: Store, start: Start, provider: Provider
) -> None:
    settings: dict[str, Any] = {"name": "m", "share": 1.0, "after_s": 0, "rubric": "It adds."}
    judge = router.models[1]
    # 2,000 output tokens at 4 dollars a million are set aside: room for two calls at a time.
    address = start(JudgeSettings(**settings, model=judge, usd_per_day=0.02))
    provider.says[f"at-{judge}"] = "It is short.\nScore: 3"
    policy = gr.Policy(excluded=(judge,)).settings
    for number in range(3):
        ask(address, f"Add {number} and 4.", extra_body={"graphrouter": {"policy": policy}})
    wait_for(lambda: len(rows(store, outcomes)) == 3)
    found = rows(store, outcomes)
    assert [row.score for row in found] == [0.3] * 3
    asked = [each for each in provider.asked if each["model"] == f"at-{judge}"]
    text = asked[0]["messages"][0]["content"]
    assert "It adds." in text
    assert json.dumps("Add 0 and 4.") in text
    cost = 3 * (3 * 1 + 2 * 4) * 1_000
    (budget,) = rows(store, budgets)
    wait_for(lambda: rows(store, budgets)[0].spent_nanousd == cost)
    assert budget.owner_id == "judge:m"
    with store.engine.begin() as connection:
        connection.execute(sa.update(budgets).values(spent_nanousd=19_000_000))
        assert read_spent(connection, "judge:m", budget.day) == 19_000_000
    ask(address, "Add 8 and 4.", extra_body={"graphrouter": {"policy": policy}})
    over = 'graphrouter_judged_answers_total{judge="m",result="over_budget"} 1.0'
    wait_for(lambda: over in read(address, "/metrics"))
    assert len(rows(store, outcomes)) == 3


def test_a_model_that_judges_sees_redacted_texts(
    router: gr.GraphRouter, store: Store, start: Start, provider: Provider
) -> None:
    judge = router.models[1]
    settings: Any = {"name": "m", "share": 1.0, "after_s": 0, "rubric": "x", "usd_per_day": 1}
    hide = Redaction(lambda text: text.replace("Ada", "[name]").replace("answers", "[verb]"))
    address = start(JudgeSettings(**settings, model=judge), redact=hide)
    provider.says[f"at-{judge}"] = "Score: 3"
    policy = gr.Policy(excluded=(judge,)).settings
    ask(address, "Add what Ada has.", extra_body={"graphrouter": {"policy": policy}})
    wait_for(lambda: rows(store, outcomes))
    (asked,) = [each for each in provider.asked if each["model"] == f"at-{judge}"]
    text = asked["messages"][0]["content"]
    assert "Add what [name] has." in text
    assert "[verb]." in text
    assert "Ada" not in text


def test_a_judge_that_says_nothing_harms_nobody(
    router: gr.GraphRouter, store: Store, start: Start, provider: Provider
) -> None:
    judge = router.models[1]
    more: Any = {"model": judge, "rubric": "x", "usd_per_day": 1}
    address = start(JudgeSettings(name="m", share=1.0, after_s=0, **more))
    provider.says[f"at-{judge}"] = "I would rather not."
    assert ask(address)["x-graphrouter-decision"]
    failed = 'graphrouter_judged_answers_total{judge="m",result="failed"} 1.0'
    wait_for(lambda: failed in read(address, "/metrics"))
    assert rows(store, outcomes) == []
    with pytest.raises(ConfigError, match="whose tokens have no prices"):
        start(JudgeSettings(name="m", share=1.0, **more), prices=None)


def make_judging(store: Store, *judges: JudgeSettings) -> BackgroundJudging:
    return BackgroundJudging(judges, store, GroupCommit(store), {}, seed=0)


def test_a_stated_share_is_judged_most_where_it_tells(store: Store) -> None:
    """The best is the best in two of three draws here; the sure one always."""
    judging = make_judging(store, JudgeSettings(name="a", share=0.2, pattern="x"))
    made = make_decision()
    sure = Decision("best", 0.8, 0.01, (made.candidates[0], made.candidates[2]))
    taken = {"doubtful": [], "sure": []}  # type: ignore[var-annotated]
    for number in range(2_000):
        for name, decision in (("doubtful", made), ("sure", sure)):
            found = judging.take(decision, None, "p", model="best", decision_id=str(number))
            if found is not None:
                taken[name].append(found.chance)
    num_taken = {name: len(chances) for name, chances in taken.items()}
    assert sum(num_taken.values()) / 4_000 == pytest.approx(0.2, abs=0.02)
    assert num_taken["doubtful"] > 3 * num_taken["sure"] > 100
    for name, chances in taken.items():
        assert sum(chances) / len(chances) == pytest.approx(num_taken[name] / 2_000, abs=0.02)


def test_a_share_of_one_takes_every_answer(store: Store) -> None:
    """A weight below the mean once made the chance .93, and one answer in fifteen was let pass."""
    judging = make_judging(store, JudgeSettings(name="a", share=1.0, pattern="x"))
    made = make_decision()
    sure = Decision("best", 0.8, 0.01, (made.candidates[0], made.candidates[2]))
    for number, decision in enumerate([made, sure] * 100):
        found = judging.take(decision, None, "p", model="best", decision_id=str(number))
        assert found is not None
        assert found.chance == 1.0


def test_what_no_judge_is_for_is_not_taken(store: Store) -> None:
    judging = make_judging(
        store,
        JudgeSettings(name="a", share=1.0, pattern="x", tasks=("sums",)),
        JudgeSettings(name="b", share=1.0, expected={"Add 3 and 4.": "7"}),
    )

    def take(decision: Decision | None, task: str | None, prompt: str | None, model: str) -> Any:
        found = judging.take(decision, task, prompt, model=model, decision_id="d")
        return None if found is None else found.judge.name

    made = make_decision()
    assert take(made, "sums", "p", "best") == "a"
    assert take(made, None, "Add 3 and 4.", "best") == "b"
    assert take(made, None, "p", "best") is None
    assert take(None, "sums", "p", "best") is None
    assert take(made, "sums", None, "best") is None
    assert take(made, "sums", "p", "out") is None


def test_reliability_is_learned_from_what_others_said(store: Store) -> None:
    judging = make_judging(store, JudgeSettings(name="a", share=1.0, pattern="x"))
    with store.engine.begin() as connection:
        for number in range(60):
            score = float(number % 2)
            row = {"decision_id": f"d{number}", "model": "m", "time": 0.0}
            right = score if number % 3 else 1 - score
            for grader, effect, said in (("judge:a", 0.5, score), ("client", right, None)):
                id_ = f"{grader}{number}"
                connection.execute(
                    sa.insert(outcomes),
                    {**row, "id": id_, "effect": effect, "grader": grader, "score": said},
                )
        scores, effects = read_overlap(connection, "judge:a")
    assert len(scores) == len(effects) == 60
    found = judging._find_reliability(judging._judges[0])
    assert found == gr.Judge.fit(scores, effects)
    assert found.hit_rate == pytest.approx(2 / 3, abs=0.02)


def test_more_than_can_wait_is_counted(store: Store) -> None:
    judging = make_judging(store, JudgeSettings(**PATTERN))
    found = judging.take(make_decision(), None, "p", model="best", decision_id="d")
    assert found is not None
    for _ in range(201):
        judging.offer(found, "text")
    judging.offer(found, " ")
    assert judging.counts == {("said", "too_many"): 1, ("said", "empty"): 1}
    long = b'{"choices": [{"message": {"content": "' + b"a" * 300_000 + b'"}}]}'

    async def pass_by() -> bytes:
        async def pieces() -> AsyncIterator[bytes]:
            yield long

        return b"".join([piece async for piece in judging.listen(found, pieces())])

    assert asyncio.run(pass_by()) == long
    judging.offer_whole(found, long)
    assert judging.counts["said", "too_many"] == 1  # too long to be offered at all


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"choices": [{"message": {"content": [{"type": "text", "text": "a"}]}}]}, "a"),
        ({"choices": [{"text": " b"}]}, " b"),
        ({"choices": [{"message": {"content": None, "tool_calls": []}}]}, ""),
        ({"content": [{"type": "thinking", "thinking": "h"}, {"type": "text", "text": "c"}]}, "c"),
        ({"output": [{"type": "message", "content": [{"text": "d"}]}, {"type": "x"}]}, "d"),
        ({"choices": 3}, ""),
        ([], ""),
    ],
)
def test_the_text_of_every_form_is_read(content: object, text: str) -> None:
    assert read_answer_text(json.dumps(content).encode()) == text
    assert read_answer_text(b"no json") == ""


def test_the_text_of_every_stream_is_read() -> None:
    for events in (
        [{"choices": [{"delta": {"content": x}}]} for x in "ab"] + [{"choices": []}],
        [{"choices": [{"text": x}]} for x in "ab"],
        [{"type": "response.output_text.delta", "delta": x} for x in "ab"],
        [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": x}} for x in "ab"],
    ):
        stream = "".join(f"data: {json.dumps(each)}\n\n" for each in events) + "data: [DONE]\n\n"
        assert read_streamed_text(stream.encode()) == "ab"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "expected a list of judges"),
        ("judges: []", "expected a list of judges"),
        ("judges: [3]", "judge 1: received 3"),
        ("judges: [{name: a, share: 0.1}]", "expected one of model, schema"),
        ("judges: [{name: a, share: 2, pattern: x}]", "share"),
        ("judges: [{name: a, share: 0.1, pattern: '('}]", "judge 1: .*pattern"),
        ("judges: [{name: a, share: 0.1, schema: {type: 3}}]", "judge 1"),
        ("judges: [{name: a, share: 0.1, pattern: x, reliability: good}]", "reliability"),
        ("judges: [{name: a, share: 0.1, model: m}]", "together"),
        ("judges: [{name: a, share: 0.1, model: m, rubric: r, usd_per_day: 1}]", "no address"),
        ("judges: [{name: a, share: 0.1, patern: x}]", "patern"),
        (
            "judges: [{name: a, share: 0.1, pattern: x}, {name: a, share: 0.1, pattern: y}]",
            "two judges are called a",
        ),
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "judges.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told) as refused:
        load_judges(file, ["tarn"])
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError):
        load_judges(tmp_path / "none.yaml", ["tarn"])


def test_a_file_of_judges_is_read(tmp_path: Path) -> None:
    file = tmp_path / "judges.yaml"
    file.write_text(
        "judges:\n"
        "- {name: form, share: 0.2, schema: {type: object}, tasks: [extraction]}\n"
        "- {name: m, share: 0.1, model: tarn, rubric: Good., usd_per_day: 2}\n"
    )
    form, model = load_judges(file, ["tarn"])
    assert (form.kind, form.grader, form.tasks) == ("schema", "judge:form", ("extraction",))
    assert (model.kind, model.make_judge(), model.usd_per_day) == ("model", None, 2)
