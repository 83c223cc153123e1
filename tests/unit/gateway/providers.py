"""Providers on loopback beside the one of chats: Anthropic's API, and the rest of OpenAI's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse


def tell(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


@dataclass
class AnthropicProvider:
    """What it was asked; answers a text, or calls a tool where it is given one."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    def make_app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/v1/messages", self._answer, methods=["POST"])
        app.add_api_route("/v1/messages/count_tokens", self._count, methods=["POST"])
        return app

    async def _count(self, request: Request) -> Response:
        self.asked.append(await request.json())
        return JSONResponse({"input_tokens": 11})

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        if "max_tokens" not in body:
            error = {"type": "invalid_request_error", "message": "max_tokens: Field required"}
            return JSONResponse({"type": "error", "error": error}, 400)
        blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
        blocks.append({"type": "text", "text": f"{body['model']} answers."})
        if body.get("tools"):
            called = {"id": "toolu_1", "name": "add", "input": {"a": 3}}
            blocks.append({"type": "tool_use", **called})
        message = {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": "tool_use" if body.get("tools") else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 2},
        }
        if body.get("stream"):
            return StreamingResponse(self._stream(body, message), media_type="text/event-stream")
        return JSONResponse(message)

    async def _stream(self, body: dict[str, Any], message: dict[str, Any]) -> AsyncIterator[str]:
        user = (body.get("metadata") or {}).get("user_id")
        try:
            usage = message["usage"] | {"output_tokens": 1}
            begun = message | {"content": [], "stop_reason": None, "usage": usage}
            yield tell({"type": "message_start", "message": begun})
            yield tell({"type": "ping"})
            for i, block in enumerate(message["content"]):
                pieces: list[dict[str, Any]] = []
                if block["type"] == "text":
                    empty = {"type": "text", "text": ""}
                    words = block["text"].split() + ["more"] * (10_000 if user == "long" else 0)
                    pieces = [{"type": "text_delta", "text": word} for word in words]
                elif block["type"] == "thinking":
                    empty = {"type": "thinking", "thinking": "", "signature": ""}
                    pieces = [{"type": "thinking_delta", "thinking": block["thinking"]}]
                else:
                    empty = block | {"input": {}}
                    halves = ('{"a"', ": 3}")
                    pieces = [{"type": "input_json_delta", "partial_json": x} for x in halves]
                yield tell({"type": "content_block_start", "index": i, "content_block": empty})
                for piece in pieces:
                    yield tell({"type": "content_block_delta", "index": i, "delta": piece})
                    await asyncio.sleep(0.001 if user == "long" else 0)
                yield tell({"type": "content_block_stop", "index": i})
                if user == "broken":
                    error = {"type": "overloaded_error", "message": "Too many."}
                    yield tell({"type": "error", "error": error})
                    return
                if user == "short":
                    return
            delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
            yield tell({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}})
            yield tell({"type": "message_stop"})
        finally:
            self.left.set()


@dataclass
class ResponsesProvider:
    """Keeps responses, and answers 404 for those of another."""

    name: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def make_app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/v1/responses", self._answer, methods=["POST"])
        app.add_api_route("/v1/responses/{key}", self._get, methods=["GET"])
        app.add_api_route("/v1/responses/{key}", self._delete, methods=["DELETE"])
        app.add_api_route("/v1/responses/{key}/input_items", self._list, methods=["GET"])
        app.add_api_route("/v1/responses/{key}/cancel", self._cancel, methods=["POST"])
        app.add_api_route("/v1/completions", self._complete, methods=["POST"])
        app.add_api_route("/v1/embeddings", self._embed, methods=["POST"])
        return app

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        previous = body.get("previous_response_id")
        if previous is not None and previous not in self.kept:
            return JSONResponse({"error": {"message": f"No {previous}.", "code": "gone"}}, 404)
        key = f"resp_{self.name}_{len(self.kept)}"
        text = {"type": "output_text", "text": f"{body['model']} answers.", "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
        details = {"input_tokens_details": {"cached_tokens": 1}}
        details["output_tokens_details"] = {"reasoning_tokens": 0}
        response = {
            "id": key,
            "object": "response",
            "created_at": 1,
            "model": body["model"],
            "output": [message | {"content": [text]}],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "status": "completed",
            "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, **details},
        }
        self.kept[key] = response
        if not body.get("stream"):
            return JSONResponse(response)
        begun = response | {"output": [], "status": "in_progress", "usage": None}
        delta = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
        events = [
            {"type": "response.created", "sequence_number": 0, "response": begun},
            {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0}
            | {"item": message | {"content": [], "status": "in_progress"}},
            {"type": "response.content_part.added", "sequence_number": 2, "output_index": 0}
            | {"item_id": "m", "content_index": 0, "part": text | {"text": ""}},
            {"type": "response.output_text.delta", "delta": text["text"], "sequence_number": 3}
            | delta,
            {"type": "response.completed", "sequence_number": 4, "response": response},
        ]
        if body.get("user") == "short":
            events.pop()
        return StreamingResponse(_each(map(tell, events)), media_type="text/event-stream")

    async def _get(self, key: str) -> Response:
        return self._find(key)

    async def _delete(self, key: str) -> Response:
        self.kept.pop(key, None)
        return JSONResponse({"id": key, "object": "response", "deleted": True})

    async def _cancel(self, key: str) -> Response:
        if key in self.kept:
            self.kept[key]["status"] = "cancelled"
        return self._find(key)

    async def _list(self, key: str, limit: int = 20) -> Response:
        if key not in self.kept:
            return self._find(key)
        item = {"id": "i", "type": "message", "role": "user", "content": [], "limit": limit}
        return JSONResponse({"object": "list", "data": [item], "has_more": False})

    def _find(self, key: str) -> Response:
        if key not in self.kept:
            return JSONResponse({"error": {"message": "Not found."}}, 404)
        return JSONResponse(self.kept[key])

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        choice = {"index": 0, "text": " time.", "finish_reason": "stop", "logprobs": None}
        told = {"id": "cmpl", "object": "text_completion", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            return JSONResponse(told | {"choices": [choice]})
        event = json.dumps(told | {"choices": [choice]})
        return StreamingResponse(_each([f"data: {event}\n\n"]), media_type="text/event-stream")

    async def _embed(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        row = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        told = {"object": "list", "data": [row], "model": body["model"], "usage": usage}
        return JSONResponse(told)


async def _each(texts: Any) -> AsyncIterator[str]:
    for text in texts:
        yield text
