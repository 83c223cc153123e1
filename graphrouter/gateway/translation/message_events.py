"""Streams of chat completions as events of Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.server_events import ServerEvent, write_event
from graphrouter.gateway.translation.messages_to_chat import (
    STOP_REASONS,
    read_usage_as_messages,
)
from graphrouter.gateway.translation.translator import tell_error

__all__ = ["MessageEvents"]


class MessageEvents:
    """Makes events of a message from chunks of a chat completion.

    Blocks of content follow each other, each of one kind: a thought, a text, or one call of a tool.
    How many tokens the prompt had is told at the end, since OpenAI's API tells it there.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        """A stream.

        Args:
            request: The client's.
        """
        self._model = request.get("model")
        self._has_begun = False
        self._num_blocks = 0
        self._open: tuple[str, object] | None = None
        self._reason: str | None = None
        self._usage: Mapping[str, Any] | None = None

    def read(self, event: ServerEvent) -> list[bytes]:
        """The events for one chunk."""
        chunk = event.parse()
        if chunk is None:  # [DONE], or a comment
            return []
        if chunk.get("error"):
            raise tell_error(502, chunk)
        written = self._begin(chunk)
        if isinstance(chunk.get("usage"), Mapping):
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(thought, str) and thought:
                block = {"type": "thinking", "thinking": "", "signature": ""}
                written += self._enter("thinking", None, block)
                written.append(self._add({"type": "thinking_delta", "thinking": thought}))
            text = delta.get("content") or delta.get("refusal")
            if text:
                written += self._enter("text", None, {"type": "text", "text": ""})
                written.append(self._add({"type": "text_delta", "text": text}))
            for call in delta.get("tool_calls") or ():
                written += self._read_call(call)
            self._reason = choice.get("finish_reason") or self._reason
        return written

    def end(self) -> list[bytes]:
        """The end of the message."""
        if self._reason is None:
            raise ApiError(502, "The upstream broke off: its stream ended before its answer.")
        delta = {"stop_reason": STOP_REASONS.get(self._reason, "end_turn"), "stop_sequence": None}
        usage = read_usage_as_messages(self._usage)
        return [
            *self._leave(),
            _write("message_delta", delta=delta, usage=usage),
            _write("message_stop"),
        ]

    def _begin(self, chunk: Mapping[str, Any]) -> list[bytes]:
        if self._has_begun:
            return []
        self._has_begun = True
        message: dict[str, Any] = {
            "id": f"msg_{chunk.get('id')}",
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model") or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return [_write("message_start", message=message)]

    def _read_call(self, call: Mapping[str, Any]) -> list[bytes]:
        function = call.get("function") or {}
        key, written = call.get("index", 0), []
        if self._open != ("tool_use", key):
            block: dict[str, Any] = {
                "id": call.get("id"),
                "name": function.get("name"),
                "input": {},
            }
            written += self._enter("tool_use", key, {"type": "tool_use", **block})
        if function.get("arguments"):
            delta = {"type": "input_json_delta", "partial_json": function["arguments"]}
            written.append(self._add(delta))
        return written

    def _enter(self, kind: str, key: object, block: Mapping[str, Any]) -> list[bytes]:
        """Begin a block, unless it is open already."""
        if self._open == (kind, key):
            return []
        written = self._leave()
        self._open, self._num_blocks = (kind, key), self._num_blocks + 1
        at = self._num_blocks - 1
        return [*written, _write("content_block_start", index=at, content_block=block)]

    def _add(self, delta: Mapping[str, Any]) -> bytes:
        return _write("content_block_delta", index=self._num_blocks - 1, delta=delta)

    def _leave(self) -> list[bytes]:
        if self._open is None:
            return []
        self._open = None
        return [_write("content_block_stop", index=self._num_blocks - 1)]


def _write(kind: str, **members: object) -> bytes:
    return write_event({"type": kind, **members}, kind)
