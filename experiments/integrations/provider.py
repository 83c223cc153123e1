"""A provider on a free port of loopback that answers with the name of the model it was asked for.

Usage:
    python -m experiments.integrations.provider

Given tools, it calls the first one before it answers. Its first line says where it listens.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


async def answer(request: Request) -> Response:
    """A chat completion."""
    body = await request.json()
    message: dict[str, Any] = {"role": "assistant", "content": body["model"]}
    told = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
    if body.get("stream"):
        return StreamingResponse(stream(told, message), media_type="text/event-stream")
    if body.get("tools") and body["messages"][-1]["role"] == "user":
        call = {
            "name": body["tools"][0]["function"]["name"],
            "arguments": '{"first": 3, "second": 4}',
        }
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return JSONResponse({**told, "choices": choices, "usage": usage})


async def stream(told: dict[str, Any], delta: dict[str, Any]) -> AsyncIterator[str]:
    """The chunks of a completion."""
    for part, reason in ((delta, None), ({}, "stop")):
        choices = [{"index": 0, "delta": part, "finish_reason": reason}]
        chunk = {**told, "object": "chat.completion.chunk", "choices": choices}
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


def main() -> None:
    """Serve until the process is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"at http://127.0.0.1:{listening.getsockname()[1]}/v1", flush=True)
    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    config = uvicorn.Config(app, log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
