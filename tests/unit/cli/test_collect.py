"""`graphrouter collect` against fake models on loopback."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import graphrouter as gr
from graphrouter.cli import collect as command
from tests.unit.cli.conftest import Invoke


async def answer(request: Request) -> JSONResponse:
    body = await request.json()
    text = "Score: 5" if body["model"] == "sage" else "4" if body["model"] == "grand" else "5"
    choice = {"message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 20, "completion_tokens": 10}
    return JSONResponse({"choices": [choice], "usage": usage})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def words(address: str, tmp_path: Path) -> list[str]:
    """A command without its judge."""
    table = {"prompt": [f"{i} + {4 - i}?" for i in range(6)], "expected": 4, "task": "sums"}
    pd.DataFrame(table).to_csv(tmp_path / "prompts.csv", index=False)
    upstreams: dict[str, Any] = {
        "defaults": {"base_url": address, "input_usd_per_mtok": 1, "output_usd_per_mtok": 4},
        "upstreams": {"nano": {"input_usd_per_mtok": 0.5}, "grand": {}},
        "others": {"sage": {}},
    }
    (tmp_path / "up.yaml").write_text(json.dumps(upstreams))
    found = ["collect", str(tmp_path / "prompts.csv"), "--upstreams", str(tmp_path / "up.yaml")]
    return [*found, "--out", str(tmp_path / "out")]


def test_it_leaves_a_dataset(invoke: Invoke, words: list[str], tmp_path: Path) -> None:
    status, out, error = invoke(*words, "--judge", "numeric")
    assert (status, error) == (0, "")
    assert "12 answers of 12 pairs, 12 graded" in out
    assert "0.000660 USD in 12 calls" in out
    data = gr.load_dataset(tmp_path / "out")
    assert data.outcomes.groupby("model")["effect"].mean().to_dict() == {"grand": 1, "nano": 0}
    assert data.pool["nano"].input_usd_per_mtok == 0.5


def test_a_limit_has_a_status_of_its_own(invoke: Invoke, words: list[str]) -> None:
    status, out, _ = invoke(*words, "--judge", "exact", "--max-calls", "5", "--json")
    told = json.loads(out)
    assert status == command.STATUS_STOPPED
    assert (told["num_answers"], told["num_pairs"], told["stopped"]) == (5, 12, "5 calls are made")
    assert invoke(*words, "--judge", "exact")[0] == 0


def test_models_judge_by_a_rubric(invoke: Invoke, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "rubric.txt").write_text("Be brief.")
    more = ["--judge", "llm:sage", "--rubric", str(tmp_path / "rubric.txt")]
    status, out, error = invoke(*words, *more)
    assert (status, error) == (0, "")
    assert "12 graded" in out
    assert set(gr.load_dataset(tmp_path / "out").outcomes["effect"]) == {0.5}


def test_a_function_judges(
    invoke: Invoke, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short_judge.py").write_text("def short(prompt, answer):\n    return 0.25\n")
    monkeypatch.chdir(tmp_path)
    assert invoke(*words, "--judge", "python:short_judge.short")[0] == 0
    assert set(gr.load_dataset(tmp_path / "out").outcomes["effect"]) == {0.25}


def test_a_person_judges(
    invoke: Invoke, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_read_line", lambda: "5\n")
    status, _, error = invoke(*words, "--judge", "person")
    assert status == 0
    assert "Grade, 1 (useless)" in error
    assert "grand" not in error
    assert gr.load_dataset(tmp_path / "out").outcomes["effect"].eq(1).all()


def test_a_bar_tells_rates_and_dollars_on_a_terminal(
    invoke: Invoke, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=120)
    monkeypatch.setattr(command, "error_console", terminal)
    assert invoke(*words, "--judge", "numeric")[0] == 0
    assert "12/12" in shown.getvalue()
    assert "0.0007 USD, " in shown.getvalue()
    assert " a second" in shown.getvalue()


def test_cards_describe_the_models(invoke: Invoke, words: list[str], tmp_path: Path) -> None:
    cards = {"model": ["nano", "grand", "third"], "description": ["Small.", "Large.", None]}
    cards |= {"context_tokens": ["8192", None, None]}
    pd.DataFrame(cards).to_csv(tmp_path / "models.csv", index=False)
    more = ["--judge", "numeric", "--cards", str(tmp_path / "models.csv")]
    assert invoke(*words, *more, "--models", "nano,grand")[0] == 0
    pool = gr.load_dataset(tmp_path / "out").pool
    assert pool.names == ("nano", "grand")
    assert pool["nano"].description == "Small."
    assert pool["nano"].context_tokens == 8192


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--judge", "numerc"], "Did you mean 'numeric'"),
        (["--judge", "llm:"], "--judge received 'llm:'"),
        (["--judge", "llm:nobody"], "judge 'nobody' has no address"),
        (["--judge", "numeric", "--rubric", "x"], "--rubric is for --judge llm:MODEL"),
        (["--judge", "numeric", "--models", "nano,grnd"], "Did you mean 'grand'"),
        (["--judge", "numeric", "--models", "nano"], "expected at least two"),
        (["--judge", "numeric", "--expected", "gold"], "Nothing is expected of the query '1'"),
        (["--judge", "python:nothing.here"], "cannot be imported"),
        (["--judge", "numeric", "--cards", "no.csv"], "no.csv"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_asked(
    invoke: Invoke, words: list[str], tmp_path: Path, more: list[str], told: str
) -> None:
    status, out, error = invoke(*words, *more)
    assert (status, out) == (2, "")
    assert told in error
    assert error.count("\n") == 1
    journal = tmp_path / "out" / "journal.jsonl"
    assert not journal.exists() or "begin" not in journal.read_text()


def test_upstreams_without_names_need_cards(
    invoke: Invoke, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "up.yaml").write_text("defaults: {base_url: 'http://127.0.0.1:9/v1'}\n")
    status, _, error = invoke(*words, "--judge", "numeric")
    assert status == 2
    assert "names no models under upstreams. Name at least two" in error
