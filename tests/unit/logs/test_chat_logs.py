"""Lines that the real clients of OpenAI and Anthropic make, against providers on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import numpy as np
import openai
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from graphrouter.exceptions import DataError
from graphrouter.logs import TaskSource, read_log
from tests.unit.gateway.providers import AnthropicProvider, ResponsesProvider


async def answer_chat(request: Request) -> Response:
    body = await request.json()
    if "fail" in str(body["messages"][-1]["content"]):
        return JSONResponse({"error": {"message": "It failed.", "type": "server_error"}}, 500)
    message = {"role": "assistant", "content": f"{body['model']} answers."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}
    named = {"model": f"{body['model']}-2026", "object": "chat.completion", "created": 1}
    return JSONResponse({"id": "1", **named, "choices": [choice], "usage": usage})


def serve(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def openai_address() -> Iterator[str]:
    app = ResponsesProvider("one").make_app()
    app.add_api_route("/v1/chat/completions", answer_chat, methods=["POST"])
    yield from serve(app)


@pytest.fixture(scope="module")
def anthropic_address() -> Iterator[str]:
    yield from serve(AnthropicProvider().make_app())


def write(lines: list[dict[str, Any]], file: Path) -> Path:
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def test_lines_of_the_client_of_openai(openai_address: str, tmp_path: Path) -> None:
    client = openai.OpenAI(base_url=f"{openai_address}/v1", api_key="none", max_retries=0)
    lines = []
    for model in ("nano", "grand"):
        for prompt in ("Name a river in Italy.", "Please fail at this."):
            request = {"model": model, "messages": [{"role": "user", "content": prompt}]}
            started = time.time()
            try:
                response = client.chat.completions.create(**request).model_dump()  # type: ignore[call-overload]
                line = {"request": request, "response": response, "feedback": "up"}
            except openai.APIStatusError as error:
                line = {"request": request, "response": error.body, "status_code": 500}
            lines.append({**line, "latency_s": time.time() - started, "task": "geography"})
    found = read_log("openai", write(lines, tmp_path / "chats.jsonl"))
    assert found.skipped == {"the call failed": 2}
    assert found.data.pool.names == ("nano", "grand")  # as asked for, not as answered
    outcomes = found.data.outcomes
    assert outcomes["effect"].tolist() == [1.0, 1.0]
    assert outcomes["input_tokens"].tolist() == [8.0, 8.0]
    assert outcomes["output_tokens"].tolist() == [3.0, 3.0]
    assert (outcomes["latency_s"] > 0).all()
    assert found.data.tasks["task"].tolist() == ["geography"]


def test_lines_of_responses_and_answers_that_are_kept(openai_address: str, tmp_path: Path) -> None:
    client = openai.OpenAI(base_url=f"{openai_address}/v1", api_key="none", max_retries=0)
    lines = []
    for model in ("nano", "grand"):
        request = {"model": model, "instructions": "Be brief.", "input": "Name a river in Italy."}
        response = client.responses.create(**request)  # type: ignore[call-overload]
        lines.append(
            {"request": request, "response": response.model_dump(mode="json"), "cost": 0.1}
        )
    file = write(lines, tmp_path / "responses.jsonl")
    found = read_log("openai", file, keep_answers=True, tasks=TaskSource("none"))
    assert found.data.queries["prompt"].tolist() == ["Name a river in Italy."]
    assert found.data.queries["system"].tolist() == ["Be brief."]
    assert found.data.outcomes["answer"].notna().all()


def test_lines_of_the_client_of_anthropic(anthropic_address: str, tmp_path: Path) -> None:
    client = anthropic.Anthropic(base_url=anthropic_address, api_key="none", max_retries=0)
    lines = []
    for model in ("small", "large"):
        request = {
            "model": model,
            "max_tokens": 50,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "Name a river in Italy."}],
        }
        response = client.messages.create(**request)  # type: ignore[call-overload]
        lines.append({"request": request, "response": response.model_dump(), "rating": 4})
    found = read_log("anthropic", write(lines, tmp_path / "messages.jsonl"), grade="rating=1..5")
    outcomes = found.data.outcomes
    assert outcomes["effect"].tolist() == [0.75, 0.75]
    assert outcomes["input_tokens"].tolist() == [7.0, 7.0]  # those from a cache among them
    assert outcomes["output_tokens"].tolist() == [2.0, 2.0]
    assert found.data.queries["system"].tolist() == ["Be brief."]


def test_inputs_and_outputs_of_batches_are_joined(tmp_path: Path) -> None:
    asked = [
        {
            "custom_id": f"{model}-{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": model, "messages": [{"role": "user", "content": f"Add {i} and 4."}]},
        }
        for model in ("nano", "grand")
        for i in range(3)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 1}
    body = {"choices": [{"message": {"role": "assistant", "content": "7"}}], "usage": usage}
    answered: list[dict[str, Any]] = [
        {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}}
        for line in asked[:4]
    ]
    answered[0].update(response=None, error={"code": "expired"})
    answered.append({"custom_id": "of another batch", "response": {"status_code": 200}})
    write(asked, tmp_path / "input.jsonl")
    write(answered, tmp_path / "output.jsonl")
    found = read_log("openai", tmp_path, tasks=TaskSource("none"))
    assert found.num_calls == 3
    assert found.skipped == {
        "the call failed": 1,
        "no answer of its custom_id": 2,
        "no request of its custom_id": 1,
    }
    assert np.isnan(found.data.outcomes["latency_s"]).all()


def test_results_of_batches_of_anthropic(tmp_path: Path) -> None:
    message = {"content": [{"type": "text", "text": "7"}], "usage": {"input_tokens": 5}}
    lines: list[dict[str, Any]] = []
    for model in ("small", "large", "lost"):
        params = {"model": model, "messages": [{"role": "user", "content": "Add 3 and 4."}]}
        kind = "errored" if model == "lost" else "succeeded"
        lines.append({"custom_id": model, "params": params})
        lines.append({"custom_id": model, "result": {"type": kind, "message": message}})
    found = read_log("anthropic", write(lines, tmp_path / "batch.jsonl"), tasks=TaskSource("none"))
    assert (found.num_calls, found.skipped) == (2, {"the call failed": 1})


def test_lines_without_a_request_are_counted(tmp_path: Path) -> None:
    file = write([{"prompt": "x"}, {"request": {"model": "m"}}], tmp_path / "log.jsonl")
    with pytest.raises(DataError, match=r"no chat \(2\)"):
        read_log("openai", file)
