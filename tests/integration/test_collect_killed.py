"""A collection is killed again and again while models time out, refuse and talk nonsense."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

import graphrouter as gr
from graphrouter.collecting.call_journal import JOURNAL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # each start takes seconds
MODELS = [f"model-{i}" for i in range(5)]
PROMPTS, KILLS = 300, 5
COST_NANOUSD = 20 * 1_000 + 10 * 4_000
SHARES = {"late": 0.01, "busy": 0.05, "failing": 0.03, "garbage": 0.01}


@dataclass
class Provider:
    """Answers most calls, and says for itself what it has been paid for."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    paid: Counter[tuple[str, str]] = field(default_factory=Counter)

    def make_app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/v1/chat/completions", self._answer, methods=["POST"])
        return app

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        kind = self.rng.choices([*SHARES, "well"], [*SHARES.values(), 1 - sum(SHARES.values())])[0]
        await asyncio.sleep(self.rng.uniform(0, 0.02))
        if kind in ("busy", "failing"):
            return Response(
                status_code=429 if kind == "busy" else 503, headers={"retry-after": "0"}
            )
        self.paid[body["model"], body["messages"][-1]["content"]] += 1
        if kind == "garbage":
            return Response("<html>")
        if kind == "late":
            await asyncio.sleep(5)
        choice = {"message": {"role": "assistant", "content": "Answer: 7"}}
        usage = {"prompt_tokens": 20, "completion_tokens": 10}
        return JSONResponse({"choices": [choice], "usage": usage})


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def address(provider: Provider) -> Iterator[str]:
    config = uvicorn.Config(provider.make_app(), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(10)


def count_answers(journal: Path) -> int:
    return journal.read_bytes().count(b'"text":') if journal.exists() else 0


def test_it_goes_on_never_pays_twice_and_stops_at_its_budget(
    provider: Provider, address: str, tmp_path: Path
) -> None:
    prompts = [f"What is {i} + {7 - i}?" for i in range(PROMPTS)]
    table = {"prompt": prompts, "task": ["one", "two", "three"] * 100, "expected": 7}
    pd.DataFrame(table).to_csv(tmp_path / "prompts.csv", index=False)
    settings = {"base_url": address, "input_usd_per_mtok": 1, "output_usd_per_mtok": 4}
    settings |= {"timeout_s": 2, "retries": 4}
    upstreams = {"defaults": settings, "upstreams": {model: {} for model in MODELS}}
    (tmp_path / "up.yaml").write_text(json.dumps(upstreams))
    out = tmp_path / "out"
    words = [sys.executable, "-m", "graphrouter", "collect", str(tmp_path / "prompts.csv")]
    words += ["--upstreams", str(tmp_path / "up.yaml"), "--judge", "numeric", "--out", str(out)]
    words += ["--max-output-tokens", "32", "--concurrency", "10"]
    small = ["--budget-usd", "0.07"]

    rng = random.Random(1)
    for _ in range(KILLS):
        enough = count_answers(out / JOURNAL) + rng.randrange(60, 160)
        process = subprocess.Popen([*words, *small], stderr=subprocess.PIPE)
        while count_answers(out / JOURNAL) < enough:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert process.stderr is not None
        process.stderr.close()

    stopped = subprocess.run([*words, *small], capture_output=True, text=True, check=False)
    assert stopped.returncode == 3, stopped.stderr
    assert "Stopped at a limit" in stopped.stdout
    check_books(provider, out, limit_usd=0.07)

    done = subprocess.run(
        [*words, "--budget-usd", "1"], capture_output=True, text=True, check=False
    )
    while done.returncode == 0 and f"{PROMPTS * len(MODELS):,} answers" not in done.stdout:
        done = subprocess.run(
            [*words, "--budget-usd", "1"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    check_books(provider, out, limit_usd=1.0)
    data = gr.load_dataset(out)
    assert len(data.outcomes) == PROMPTS * len(MODELS)
    assert data.outcomes["effect"].eq(1).all()


def check_books(provider: Provider, out: Path, *, limit_usd: float) -> None:
    """What the journal says and what the provider was paid agree, call by call."""
    events = [json.loads(line) for line in (out / JOURNAL).read_bytes().splitlines()]
    ends = [event for event in events if event["event"] == "end"]
    prompts = [f"What is {i} + {7 - i}?" for i in range(PROMPTS)]
    pair = {id(each): (each["model"], prompts[int(each["query_id"]) - 1]) for each in ends}
    answered = Counter(pair[id(each)] for each in ends if "text" in each)
    doubtful = Counter(
        pair[id(each)] for each in ends if "reason" in each and each["spent_nanousd"]
    )
    assert set(answered.values()) == {1}
    for what, times in provider.paid.items():
        assert times <= answered[what] + doubtful[what], what
    spent = sum(event["spent_nanousd"] for event in ends)
    assert COST_NANOUSD * provider.paid.total() <= spent <= limit_usd * 1e9
