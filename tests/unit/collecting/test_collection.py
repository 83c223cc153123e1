"""Prompts times pool: all of it, within limits, in several runs, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

import graphrouter as gr
from graphrouter.collecting import ExpectedJudge, FunctionJudge, Limits
from graphrouter.collecting.call_journal import JOURNAL
from graphrouter.exceptions import BusyError, ConfigError, DataError, RunError
from graphrouter.locks import lock_folder
from tests.unit.collecting.conftest import ANSWERED, Provider, Run, deploy, make_prompts


def test_all_pairs_become_a_dataset_that_a_router_learns_from(
    provider: Provider, run: Run, tmp_path: Path
) -> None:
    provider.text = lambda body: "4" if body["model"] == "grand" else "5"
    found = run(20, prompts=make_prompts(20, task=["sums", None] * 10))
    assert found.num_pairs == found.num_answers == found.num_graded == found.num_calls == 60
    assert found.spent_usd == pytest.approx(60 * ANSWERED / 1e9)
    assert (found.stopped, found.agreement, found.given_up) == ("", None, ())
    data = gr.load_dataset(tmp_path / "out")
    assert data.fingerprint == found.dataset.fingerprint  # type: ignore[union-attr]
    assert len(data.queries) == 20
    assert data.outcomes.groupby("model")["effect"].mean().to_dict() == {
        "grand": 1.0,
        "nano": 0.0,
        "other": 0.0,
    }
    assert set(data.outcomes["answer"]) == {"4", "5"}
    assert data.outcomes["cost_usd"].sum() == pytest.approx(found.spent_usd)
    assert data.outcomes["latency_s"].gt(0).all()
    assert gr.GraphRouter.fit(data, instant=True).route("7 + 1?").model == "grand"


def test_what_was_answered_is_never_asked_again(provider: Provider, run: Run) -> None:
    provider.next["nano"] = [httpx2.ReadTimeout("slow")] * 3
    assert run(6).num_answers == 15
    assert run(6).num_answers == 18
    assert run(6).num_calls == 21
    assert set(provider.paid.values()) == {1}
    assert run(8).num_answers == 24  # more prompts: what is there stays
    assert set(provider.paid.values()) == {1}


def test_a_budget_is_never_passed_and_may_be_raised(provider: Provider, run: Run) -> None:
    most = 150_000  # of one call, in nanodollars
    limit = (most + 100 * ANSWERED) / 1e9
    found = run(100, budget_usd=limit, max_output_tokens=8)
    assert found.stopped.startswith("0.00")
    assert 100 <= found.num_answers < 115
    assert limit - most / 1e9 < found.spent_usd <= limit
    more = run(100, budget_usd=1.0)
    assert (more.num_answers, more.stopped) == (300, "")
    assert set(provider.paid.values()) == {1}


def test_whatever_is_there_is_spread(run: Run) -> None:
    found = run(30, max_calls=45)
    assert found.stopped == "45 calls are made"
    outcomes = found.dataset.outcomes  # type: ignore[union-attr]
    assert outcomes["query_id"].nunique() == 30
    assert set(outcomes["model"].value_counts()) == {15}


def test_calls_are_made_at_once(provider: Provider, run: Run) -> None:
    run(20, concurrency=5)
    assert provider.most_at_once == 5


def test_a_chat_is_sent_as_it_is(provider: Provider, run: Run) -> None:
    chat = [
        {"role": "user", "content": "Add 3 and 4, please."},
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "Minus 3?"},
    ]
    run(prompts=make_prompts(1, prompt=[chat]), system="Be brief.")
    assert provider.asked[0]["messages"] == chat
    run(prompts=make_prompts(2, prompt=[chat, "1 + 3?"]), system="Be brief.")
    assert provider.asked[-1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 3?"},
    ]


def test_what_a_judge_does_not_say_is_kept_without_an_effect(provider: Provider, run: Run) -> None:
    def judge(prompt: str, answer: str) -> float | None:
        return None if prompt.startswith("0") else 1.0

    found = run(4, FunctionJudge(judge, "python:mine"))
    assert (found.num_answers, found.num_graded) == (12, 9)
    outcomes = found.dataset.outcomes  # type: ignore[union-attr]
    assert outcomes["effect"].isna().sum() == 3
    assert outcomes["cost_usd"].notna().all()
    again = run(4)  # another judge has the rest
    assert (again.num_graded, len(provider.asked)) == (12, 12)


def test_a_judge_that_fails_keeps_what_was_paid(provider: Provider, run: Run) -> None:
    def judge(prompt: str, answer: str) -> float:
        raise KeyError("oops")

    with pytest.raises(RunError, match="python:mine failed on the answer of .* is kept; mend"):
        run(4, FunctionJudge(judge, "python:mine"))
    assert run(4).num_graded == 12
    assert set(provider.paid.values()) == {1}


def test_nothing_is_asked_before_everything_fits(provider: Provider, run: Run) -> None:
    with pytest.raises(DataError, match="Nothing is expected of the query '2'"):
        run(prompts=make_prompts(3, expected=[4, None, 4]))
    with pytest.raises(DataError, match="Query '1': expected is 'four'"):
        run(prompts=make_prompts(3, expected=["four", 4, 4]))
    with pytest.raises(ConfigError, match="Models with an address: nano; expected at least two"):
        run(deployments=deploy("nano"))
    embedding = deploy("grand", "other", endpoints=("embeddings",))
    with pytest.raises(ConfigError, match="Models with an address: nano; expected at least two"):
        run(deployments=deploy("nano") | embedding)
    assert provider.asked == []


def test_a_prompt_that_has_changed_is_refused(run: Run) -> None:
    run(3)
    with pytest.raises(DataError, match="query '2' has changed since it was asked"):
        run(prompts=make_prompts(3, prompt=["0 + 1?", "Hello", "2 + 1?"]))


def test_two_runs_do_not_collect_into_one_folder(run: Run, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out"):
        assert run(1).num_answers == 3  # this thread has the lock
    run(1)
    assert (tmp_path / "out" / JOURNAL).exists()


def test_a_folder_that_another_process_holds_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(folder: Path, *, wait_s: float) -> None:
        raise BusyError(f"{folder} is being changed")

    monkeypatch.setattr("graphrouter.collecting.collection.lock_folder", hold)
    with pytest.raises(BusyError, match="is being changed"):
        run(1)


def test_half_a_character_in_an_answer_does_no_harm(provider: Provider, run: Run) -> None:
    provider.text = lambda body: "4 \ud800 \N{SNOWMAN}"
    found = run(1)
    assert set(found.dataset.outcomes["answer"]) == {"4 \N{REPLACEMENT CHARACTER} \N{SNOWMAN}"}  # type: ignore[union-attr]


def test_an_interrupted_run_leaves_its_tables(provider: Provider, run: Run) -> None:
    provider.next["nano"] = [KeyboardInterrupt()]  # type: ignore[list-item]
    with pytest.raises(KeyboardInterrupt):
        run(4, concurrency=1)
    found = run(4)
    assert (found.num_answers, found.num_cut_off) == (12, 1)
    assert set(provider.paid.values()) == {1}


def test_answers_of_one_model_alone_make_no_dataset(provider: Provider, run: Run) -> None:
    provider.next["grand"] = [httpx2.Response(400)] * 9
    provider.next["other"] = [httpx2.Response(400)] * 9
    assert run(2).dataset is None


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"budget_usd": -1}, "budget_usd is -1"),
        ({"budget_usd": float("nan")}, "budget_usd is nan"),
        ({"max_calls": 0}, "max_calls is 0"),
        ({"concurrency": 1.5}, "concurrency is 1.5"),
        ({"max_output_tokens": None}, "max_output_tokens is None"),
    ],
)
def test_limits_out_of_range_are_refused(limits: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Limits(**limits)  # type: ignore[arg-type]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(DataError, match="row 2: the prompt is empty"):
        make_prompts(2, prompt=["1 + 1?", " "])


def test_the_judge_named_by_a_number_of_text_reads_it(run: Run) -> None:
    found = run(judge=ExpectedJudge("exact:final"), prompts=make_prompts(2, expected=[4.0, 4.0]))
    assert found.num_graded == 6
    assert found.dataset.outcomes["effect"].mean() == 0  # type: ignore[union-attr]  # "It is 4."
