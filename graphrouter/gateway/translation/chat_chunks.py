"""Streams of Anthropic's messages as chunks of a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.server_events import ServerEvent, write_event
from graphrouter.gateway.translation.chat_to_messages import FINISH_REASONS, read_usage_as_chat
from graphrouter.gateway.translation.translator import tell_error

__all__ = ["ChatChunks"]


class ChatChunks:
    """Makes chunks of a chat completion, all of one id, from events of a message."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        """A stream.

        Args:
            request: The client's.
        """
        options = request.get("stream_options")
        self._tells_usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
        self._head: dict[str, Any] = {"id": "chatcmpl", "object": "chat.completion.chunk"}
        self._head |= {"created": 0, "model": request.get("model")}
        self._usage: dict[str, Any] = {}
        self._num_calls, self._has_ended = 0, False

    def read(self, event: ServerEvent) -> list[bytes]:
        """The chunks for one event."""
        told = event.parse() or {}
        match told.get("type"):
            case "error":
                raise tell_error(502, told)
            case "message_start":
                message = told.get("message") or {}
                self._head |= {"id": f"chatcmpl-{message.get('id')}"}
                self._head |= {"model": message.get("model") or self._head["model"]}
                self._usage |= message.get("usage") or {}
                return [self._write({"role": "assistant", "content": ""})]
            case "content_block_start":
                return self._begin_block(told.get("content_block") or {})
            case "content_block_delta":
                return self._read_delta(told.get("delta") or {})
            case "message_delta":
                self._usage |= {k: v for k, v in (told.get("usage") or {}).items() if v is not None}
                reason = (told.get("delta") or {}).get("stop_reason")
                return [self._write({}, FINISH_REASONS.get(reason, "stop"))] if reason else []
            case "message_stop":
                self._has_ended = True
        return []

    def end(self) -> list[bytes]:
        """The chunk of usage, where the request asks for it, and `[DONE]`."""
        if not self._has_ended:
            raise ApiError(502, "The upstream broke off: its stream ended before its answer.")
        written = [write_event("[DONE]")]
        if self._tells_usage:
            usage = {"choices": [], "usage": read_usage_as_chat(self._usage)}
            written.insert(0, write_event(self._head | usage))
        return written

    def _begin_block(self, block: Mapping[str, Any]) -> list[bytes]:
        if block.get("type") != "tool_use":
            return []
        self._num_calls += 1
        function = {"name": block.get("name"), "arguments": ""}
        call = {"index": self._num_calls - 1, "id": block.get("id"), "type": "function"}
        return [self._write({"tool_calls": [call | {"function": function}]})]

    def _read_delta(self, delta: Mapping[str, Any]) -> list[bytes]:
        match delta.get("type"):
            case "text_delta":
                return [self._write({"content": delta.get("text")})]
            case "thinking_delta":
                return [self._write({"reasoning_content": delta.get("thinking")})]
            case "input_json_delta" if self._num_calls:
                function = {"arguments": delta.get("partial_json")}
                call = {"index": self._num_calls - 1, "function": function}
                return [self._write({"tool_calls": [call]})]
        return []

    def _write(self, delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return write_event(self._head | {"choices": [choice]})
