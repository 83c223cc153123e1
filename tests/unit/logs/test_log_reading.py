"""Logs as the real client or server wrote them: LiteLLM's proxy, MLflow, types of Langfuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.logs import LOG_FORMS, TaskSource, load_mask, read_log

LOGS = Path(__file__).parents[2] / "data" / "logs"
"""Written here by LiteLLM 1.108's proxy (rows of its table of spend, by its own code, and payloads
of its callbacks; its own metadata cut down), by MLflow 3.17's tracing of the OpenAI client, and by
the types of langfuse 5.0. `helicone_export*` were written by code made after the public source of
Helicone's export tool, from rows made after its server's query, for calls of the OpenAI client;
`helicone_requests` is made of the fields of its public types."""
SOURCES = {
    "litellm": "litellm_spend_logs.jsonl",
    "mlflow": "mlflow_traces.json",
    "langfuse": "langfuse",
    "helicone": "helicone_requests.jsonl",
}


def by_prompt(data: gr.RoutingDataset, column: str) -> dict[tuple[str, str], float]:
    """A column of the outcomes, by prompt and model."""
    rows = data.outcomes.merge(data.queries, on="query_id")
    return dict(zip(zip(rows["prompt"], rows["model"], strict=True), rows[column], strict=True))


def test_rows_of_spend_of_litellms_proxy() -> None:
    found = read_log("litellm", LOGS / SOURCES["litellm"])
    data = found.data
    assert (len(data.queries), len(data.outcomes), found.num_calls) == (6, 12, 12)
    assert data.pool.names == ("small-model", "large-model")  # the public names
    assert sorted(data.tasks["task"]) == ["geography", "pictures", "poems", "sums"]
    effects = by_prompt(data, "effect")
    assert effects["Add 17 and 25, please.", "large-model"] == 1.0
    assert effects["Multiply 12 by 12, please.", "large-model"] == 0.0
    assert np.isnan(effects["Name the capital of Portugal, please.", "small-model"])
    costs = by_prompt(data, "cost_usd")
    assert costs["Add 17 and 25, please.", "small-model"] == pytest.approx(5e-7 + 28e-7)
    assert data.outcomes["latency_s"].between(0.01, 1).all()
    assert "ttft_s" not in data.outcomes  # nothing was streamed
    poem = data.queries[data.queries["task"] == "poems"].iloc[0]
    assert poem["prompt"].splitlines() == [
        "Write a haiku about the rain in spring.",
        "Of what length?",
        "Short.",
    ]
    assert poem["num_turns"] == 3
    terse = data.queries.set_index("prompt").loc["Name three rivers in Europe."]
    assert terse["system"] == "Be terse."
    assert data.queries.set_index("task").loc["pictures", "num_images"] == 1


def test_payloads_of_litellms_callbacks_say_the_same() -> None:
    rows = read_log("litellm", LOGS / SOURCES["litellm"]).data
    payloads = read_log("litellm", LOGS / "litellm_callback_payloads.jsonl").data
    for column in ("effect", "cost_usd", "input_tokens", "output_tokens"):
        known = by_prompt(rows, column)
        for pair, value in by_prompt(payloads, column).items():
            np.testing.assert_equal(value, known[pair])


def test_calls_that_say_nothing_of_a_model_are_counted_apart(tmp_path: Path) -> None:
    lines = (LOGS / SOURCES["litellm"]).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows[0]["status"] = "failure"
    rows[1]["cache_hit"] = "True"
    rows[2]["proxy_server_request"] = "{}"
    rows[3].update(
        proxy_server_request=json.dumps({"messages": [{"role": "system", "content": "x"}]})
    )
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_log("litellm", tmp_path / "rows.jsonl")
    assert found.num_calls == 8
    assert found.skipped == {
        "the call failed": 1,
        "answered from a cache": 1,
        "no chat": 1,
        "no text of a user to route by": 1,
    }


def test_traces_of_mlflow_with_feedback() -> None:
    found = read_log("mlflow", LOGS / SOURCES["mlflow"])
    assert found.skipped == {"the call failed": 2, "a trace without a call of a model": 1}
    effects = by_prompt(found.data, "effect")
    assert effects["Add 3 and 4, please.", "large"] == 1.0
    assert effects["Add 3 and 4, please.", "small"] == 0.0
    assert np.isnan(effects["Name a river in Spain.", "small"])
    assert set(found.data.outcomes["output_tokens"]) == {7.0, 14.0}
    assert found.data.outcomes["latency_s"].between(0.001, 5).all()
    assert set(found.data.queries["system"]) == {"Be brief."}
    assert "clusters of prompts" in found.tasks


def test_an_export_of_langfuse_with_scores_of_observations_and_of_traces() -> None:
    found = read_log("langfuse", LOGS / SOURCES["langfuse"], grade="helpful=1..5")
    assert found.skipped == {"no generation": 1, "the call failed": 1}
    effects = by_prompt(found.data, "effect")
    assert effects["Where do I find my last invoice?", "small"] == 0.25
    assert effects["Where do I find my last invoice?", "large"] == 1.0
    assert effects["How do I change my address?", "large"] == 0.75
    assert by_prompt(found.data, "latency_s")["How do I change my address?", "large"] == 3.0
    assert found.data.outcomes["ttft_s"].tolist() == [0.4] * 4
    assert sorted(found.data.tasks["task"]) == ["accounts", "invoices"]
    named = read_log(
        "langfuse", LOGS / "langfuse", grade="helpful=1..5", tasks=TaskSource.parse("metadata:team")
    )
    assert named.data.tasks["task"].tolist() == ["billing"]


def test_a_trace_of_langfuse_that_holds_its_observations(tmp_path: Path) -> None:
    folder = LOGS / "langfuse"
    parts = {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for name in ("observations", "scores")
    }
    traces = [
        {
            "trace": {"id": trace, "name": "support", "tags": ["whole"]},
            **{
                name: [row for row in rows if row["traceId"] == trace]
                for name, rows in parts.items()
            },
        }
        for trace in ("trace-1", "trace-2", "trace-3")
    ]
    (tmp_path / "traces.json").write_text(json.dumps(traces))
    found = read_log("langfuse", tmp_path / "traces.json", grade="helpful=1..5")
    assert found.data.outcomes["effect"].tolist() == [0.25, 1.0, 0.75]


def test_an_export_of_helicone() -> None:
    source = LOGS / SOURCES["helicone"]
    with pytest.raises(DataError, match=r"several scores: tone \(2\), feedback \(2\)\. Say which"):
        read_log("helicone", source)
    found = read_log(
        "helicone", source, grade="tone=0..100", tasks=TaskSource("metadata", "Feature")
    )
    assert found.skipped == {"the call failed": 1, "no chat": 1}
    assert found.data.outcomes["effect"].dropna().tolist() == [0.8, 0.95]
    assert found.data.outcomes["latency_s"].tolist() == [0.9, 2.1, 0.7]
    assert found.data.tasks["task"].tolist() == ["faq", "translation"]
    rated = read_log("helicone", source, grade="feedback").data
    assert rated.outcomes["effect"].dropna().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_the_export_tool_of_helicone_writes(suffix: str) -> None:
    """Its tables double the quotes of bodies twice, and hold no scores and no times."""
    source = LOGS / f"helicone_export.{suffix}"
    tasks = TaskSource("metadata", "Feature")
    found = read_log("helicone", source, grade=None if suffix == "csv" else "feedback", tasks=tasks)
    costs = by_prompt(found.data, "cost_usd")
    assert costs["How do I return a parcel?", "small"] == pytest.approx(2.8e-6)
    assert 'Translate "good morning, friends" into French, please.' in set(
        found.data.queries["prompt"]
    )
    assert set(found.data.tasks["task"]) == {"faq", "translation", "orders"}
    if suffix == "csv":
        assert found.skipped == {"the call failed": 2}  # nor does it say what a cache answered
        return
    assert found.skipped == {"the call failed": 2, "answered from a cache": 1}
    assert costs["How do I return a parcel?", "large"] == pytest.approx(1.68e-4)
    effects = by_prompt(found.data, "effect")
    assert effects["How do I return a parcel?", "small"] == 1.0
    assert effects["How do I return a parcel?", "large"] == 0.0
    assert found.data.outcomes["latency_s"].between(0.6, 1).all()
    named = read_log("helicone", source, grade="correct", tasks=tasks)
    assert by_prompt(named.data, "effect")[
        'Translate "good morning, friends" into French, please.', "small"
    ]


def test_an_export_of_helicone_without_bodies() -> None:
    found = read_log(
        "helicone",
        LOGS / "helicone_export_without_bodies.jsonl",
        tasks=TaskSource("none"),
        grade="correct",
    )
    assert found.skipped["no body (export with --include-body)"] == 4


TABLE = pd.DataFrame(
    {
        "prompt": ["1 + 1?", "1 + 1?", "Sing.", "Sing."],
        "model": ["nano", "grand", "nano", "grand"],
        "rating": [1, 5, None, 4],
        "cost": [0.1, 0.5, 0.1, None],
        "team": ["a", "a", "b", "b"],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_flat_table(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"calls.{suffix}"
    write: Callable[..., Any] = {
        "csv": TABLE.to_csv,
        "jsonl": lambda place: TABLE.to_json(place, orient="records", lines=True),
        "parquet": TABLE.to_parquet,
    }[suffix]
    write(file)
    found = read_log("table", file, grade="rating=1..5", tasks=TaskSource("metadata", "team"))
    np.testing.assert_equal(found.data.outcomes["effect"].to_numpy(), [0.0, 1.0, np.nan, 0.75])
    assert found.data.tasks["task"].tolist() == ["a", "b"]
    with pytest.raises(DataError, match=r"scores? of .rating. (is|are) not on the scale"):
        read_log("table", file)  # 5 is no share


def test_list_prices_stand_in_for_costs_that_nobody_logged(tmp_path: Path) -> None:
    lines = [
        {"prompt": "1 + 1?", "model": model, "input_tokens": 1e6, "tokens": 0}
        for model in ("gpt-4o-mini", "a-model-of-nobody")
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = read_log("table", tmp_path / "log.jsonl", tasks=TaskSource("none"))
    assert found.num_listed_prices == 1
    assert found.unpriced == ("a-model-of-nobody",)
    cost = by_prompt(found.data, "cost_usd")
    assert cost["1 + 1?", "gpt-4o-mini"] > 0
    assert np.isnan(cost["1 + 1?", "a-model-of-nobody"])


def test_personal_data_are_masked_before_anything_is_kept(tmp_path: Path) -> None:
    (tmp_path / "masks_of_a_test.py").write_text(
        "def hide(text):\n    return text.replace('Lisa', 'X')\ndef lose(text):\n    return None\n"
    )
    chat = [
        {"role": "system", "content": "You help Lisa."},
        {"role": "user", "content": "I am Lisa, who are you?"},
    ]
    lines = [{"prompt": chat, "model": model, "cost": 1, "answer": "Hello Lisa."} for model in "ab"]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        mask, lost = load_mask("masks_of_a_test:hide"), load_mask("masks_of_a_test:lose")
    found = read_log("table", tmp_path / "log.jsonl", mask=mask, keep_answers=True)
    found.data.save(tmp_path / "kept", format="jsonl")
    kept = "".join(file.read_text() for file in (tmp_path / "kept").iterdir())
    assert "Lisa" not in kept
    assert "Hello X." in kept
    with pytest.raises(DataError, match="mask gave back a NoneType"):
        read_log("table", tmp_path / "log.jsonl", mask=lost)
    for wrong in ("nothing", "no_such_module:hide", "html:nothing", "html:__name__"):
        with pytest.raises(ConfigError, match="--mask is"):
            load_mask(wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no call that can be used: no records"),
        ('{"prompt": "a"}', r"no call that can be used: no model named \(1\)"),
        ('{"prompt": "a", "model": "b"}', "neither a grade nor cost, tokens or latency"),
        ('{"prompt": "a", "model": "b", "cost": 1}', "1 model is there; routing needs at least 2"),
        ("{broken", "line 1: no valid JSON"),
        ("7", "holds 7; expected objects"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_log("table", tmp_path / "log.jsonl")
    assert "\n" not in str(caught.value)


def test_places_and_forms_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'langfuse'"):
        read_log("langfus", tmp_path)
    with pytest.raises(DataError, match="no file of a log"):
        read_log("openai", tmp_path)
    with pytest.raises(DataError, match="no file or folder"):
        read_log("openai", tmp_path / "absent")
    with pytest.raises(DataError, match="is an address"):
        read_log("openai", "https://example.org/log")
    for wrong in ("clusters:1", "tags:x", "teams"):
        with pytest.raises(DataError, match="--tasks is"):
            TaskSource.parse(wrong)


@pytest.mark.parametrize("form", LOG_FORMS)
def test_no_form_chokes_on_the_records_of_another(form: str) -> None:
    for source in SOURCES.values():
        with suppress(DataError):
            read_log(form, LOGS / source, grade="no_such_score")


def test_users_are_named_where_they_are_asked_for(tmp_path: Path) -> None:
    lines = [
        {"prompt": "1 + 1?", "model": "nano", "effect": 1, "who": "ann"},
        {"prompt": "1 + 1?", "model": "grand", "effect": 0, "who": "bob"},
        {"prompt": "1 + 2?", "model": "grand", "effect": 0, "who": ""},
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    unnamed, named = (
        read_log("table", file, tasks=TaskSource("none"), users=users).data.queries
        for users in (None, "who")
    )
    assert "user" not in unnamed
    assert len(unnamed) == 2
    assert named["user"].fillna("").tolist() == ["ann", "bob", ""]
    with pytest.raises(DataError, match="No call of the log has metadata 'nobody'"):
        read_log("table", file, tasks=TaskSource("none"), users="nobody")
