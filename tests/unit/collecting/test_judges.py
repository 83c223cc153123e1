"""Judges by their word, functions by their path, and models that judge by a rubric."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from graphrouter.collecting import FunctionJudge, PromptRow, RubricJudge
from graphrouter.collecting.collecting_judges import BY_EXPECTED, ExpectedJudge, load_function
from graphrouter.exceptions import ConfigError, DataError, MissingExtraError
from graphrouter.grades import Grade
from tests.unit.collecting.conftest import ANSWERED, MODELS, Provider, Run, deploy, make_prompts

JUDGED = {**deploy(*MODELS), **deploy("sage")}


@pytest.mark.parametrize(
    ("word", "expected", "answer", "effect"),
    [
        ("exact", "Paris", "paris.", 1),
        ("exact", 4.0, "4", 1),
        ("exact:final", "Paris", "Easy.\nAnswer: Paris", 1),
        ("exact:anywhere", ["Rome", "Paris"], "It is Paris, I think.", 1),
        ("numeric", "1/4", "Answer: 25 %", 1),
        ("choice", "J", "The answer is (J).", 1),
        ("f1", "the Eiffel Tower", "Eiffel tower", 0.8),
        ("rouge", "the cat sat", "the cat sat", 1),
        ("schema", '{"type": "object"}', '{"a": 1}', 1),
        ("schema", {"type": "object"}, "3", 0),
        ("tests", ["assert f() == 1", "assert f() == 2"], "```python\ndef f(): return 1\n```", 0.5),
    ],
)
def test_judges_by_what_is_expected(word: str, expected: Any, answer: str, effect: float) -> None:
    judge, prompt = ExpectedJudge(word), PromptRow("1", "?", expected=expected)
    try:
        judge.check([prompt])
    except MissingExtraError:  # an installation without the extra
        pytest.skip("the extra is not installed")
    found = asyncio.run(judge.grade(prompt, "nano", answer))
    assert found == pytest.approx(effect)
    assert word in BY_EXPECTED


def test_a_schema_that_is_no_json_is_refused() -> None:
    with pytest.raises(DataError, match="Query '1': the schema is no JSON"):
        ExpectedJudge("schema").check([PromptRow("1", "?", expected="{")])


def test_functions_may_want_what_is_expected() -> None:
    prompt = PromptRow("1", "?", expected="b")

    def two(prompt: str, answer: str) -> bool:
        return answer == "b"

    def three(prompt: str, answer: str, expected: str) -> Grade:
        return Grade(float(answer == expected), 0.9, 0.1)

    for function in (two, three):
        judge = FunctionJudge(function, "python:x")
        assert asyncio.run(judge.grade(prompt, "nano", "b")) == 1
        assert asyncio.run(judge.grade(prompt, "nano", "c")) == 0


def test_a_function_is_found_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "judges_of_mine.py").write_text("def polite(prompt, answer):\n    return 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert load_function("judges_of_mine.polite")("", "") == 1
    with pytest.raises(ConfigError, match="has no function 'polit'. Did you mean 'polite'"):
        load_function("judges_of_mine.polit")
    with pytest.raises(ConfigError, match="cannot be imported"):
        load_function("no_such_judges.polite")
    with pytest.raises(ConfigError, match="expected MODULE.FUNCTION"):
        load_function("polite")


def sage(score: str, verdict: Any = "A") -> Any:
    """What a judge says: a score, or a verdict that may depend on what it was asked."""

    def text(body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        if body["model"] != "sage":
            return f"{body['model']} says 4."
        if "Score: 7" in asked:
            return score
        return f"Well.\nVerdict: {verdict(asked) if callable(verdict) else verdict}"

    return text


def judge_by(mode: Any = "score", **more: Any) -> Any:
    return lambda calls: RubricJudge(calls, JUDGED, "sage", mode=mode, **more)


def test_a_model_scores_by_a_rubric(provider: Provider, run: Run) -> None:
    provider.text = sage("Nearly.\n**Score: 7**")
    found = run(2, judge_by(rubric="Be kind {to all}."), deployments=JUDGED)
    assert (found.num_graded, found.num_calls) == (6, 12)
    assert found.spent_usd == pytest.approx(12 * ANSWERED / 1e9)
    assert set(found.dataset.outcomes["effect"]) == {0.7}  # type: ignore[union-attr]
    asked = [b["messages"][0]["content"] for b in provider.asked if b["model"] == "sage"]
    assert all("Be kind {to all}." in text and '"reference": 4' in text for text in asked)
    assert run(2, judge_by(), deployments=JUDGED).num_calls == 12


@pytest.mark.parametrize("said", ["I cannot say.", "", "<think>Score: 3</think>"])
def test_a_judge_that_says_nothing_is_paid_once(provider: Provider, run: Run, said: str) -> None:
    provider.text = sage(said)
    assert run(1, judge_by(), deployments=JUDGED).num_graded == 0
    assert run(1, judge_by(), deployments=JUDGED).num_calls == 6


def test_comparisons_are_asked_in_both_orders(provider: Provider, run: Run) -> None:
    prompts = make_prompts(2, expected=["A good reference."] * 2)

    def better(asked: str) -> str:
        return "A" if '"answer A": "grand says' in asked else "B"

    provider.text = sage("", lambda asked: better(asked) if "grand says" in asked else "A")
    found = run(judge=judge_by("pairwise"), prompts=prompts, deployments=JUDGED)
    effects = found.dataset.outcomes.groupby("model")["effect"].mean()  # type: ignore[union-attr]
    assert effects.to_dict() == {"grand": 1.0, "nano": 0.5, "other": 0.5}
    assert found.agreement == pytest.approx(2 / 6)  # who says A twice agrees with nobody
    assert found.num_calls == 6 + 12


def test_judges_pay_from_the_same_budget(provider: Provider, run: Run) -> None:
    provider.text = sage("Score: 10")
    found = run(50, judge_by(), deployments=JUDGED, budget_usd=0.002, max_output_tokens=8)
    assert found.stopped
    assert found.spent_usd <= 0.002
    assert 0 < found.num_graded <= found.num_answers < 150


def test_a_judge_that_cannot_be_is_refused(provider: Provider, run: Run) -> None:
    with pytest.raises(ConfigError, match="judge 'sage' has no address"):
        run(1, lambda calls: RubricJudge(calls, deploy("nano"), "sage"))
    free = {**JUDGED, **deploy("sage", prices=None)}
    with pytest.raises(ConfigError, match="sage has no prices"):
        run(1, lambda calls: RubricJudge(calls, free, "sage"), deployments=free, budget_usd=1)
    with pytest.raises(ConfigError, match="rubric is empty"):
        run(1, judge_by(rubric=" "))
    with pytest.raises(DataError, match="no reference answer to compare with"):
        run(1, judge_by("pairwise"), deployments=JUDGED)
    assert provider.asked == []


def test_a_judge_that_is_busy_is_asked_again(provider: Provider, run: Run) -> None:
    provider.text = sage("Score: 10")
    provider.next["sage"] = [httpx2.Response(429, headers={"retry-after": "0"})]
    assert run(1, judge_by(), deployments=JUDGED).num_graded == 3
    assert json.dumps(provider.asked[-1])
