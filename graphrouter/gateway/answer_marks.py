"""Says in an answer itself who decided it, and learns its usage where the client did not ask."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from graphrouter.gateway.api_forms import ApiForm
from graphrouter.gateway.call_log import OpenCall
from graphrouter.gateway.sending import Outgoing

__all__ = ["ask_for_usage", "hides_usage", "mark_answer", "mark_stream"]

MEMBER = "graphrouter"
_OPTIONS = "stream_options"
_TELL_WHEN_ASKED = ("chat", "completions")
"""Forms whose streams tell their usage only where they are asked to."""
_OBJECT = re.compile(rb"\A\s*\{(?=\s*\")")
_DATA = re.compile(rb"\Adata: ?\{(?=\s*\")")
_LAST = re.compile(
    rb'"finish_reason":\s*"|"type":\s*"(message_stop|response\.(completed|incomplete|failed))"'
)
_USAGE_ALONE = re.compile(rb'"choices":\s*\[\s*\]')


def ask_for_usage(outgoing: Outgoing) -> Outgoing:
    """The same request, whose stream will tell its usage.

    Args:
        outgoing: Of a client.
    """
    if not hides_usage(outgoing.form, outgoing.body):
        return outgoing
    options = {**(outgoing.body.get(_OPTIONS) or {}), "include_usage": True}
    return outgoing._replace(body={**outgoing.body, _OPTIONS: options})


def hides_usage(form: ApiForm, body: Mapping[str, Any]) -> bool:
    """Whether the client of a stream has not asked for the usage that it would tell if asked.

    Args:
        form: Of the request.
        body: The client's.
    """
    if form.name not in _TELL_WHEN_ASKED or not body.get("stream"):
        return False
    options = body.get(_OPTIONS)
    if options is None:
        return True
    return isinstance(options, Mapping) and not options.get("include_usage")


def mark_answer(content: bytes, call: OpenCall) -> bytes:
    """A JSON answer with the member `graphrouter`, which names the decision; others as they are.

    Args:
        content: The answer.
        call: Whose decision it was.

    Example:
        >>> mark_answer(b'{"id": "1"}', OpenCall("0f3c", ["nano"]))
        b'{"graphrouter":{"decision":"0f3c"},"id": "1"}'
    """
    return _OBJECT.sub(lambda found: found.group() + _write(call), content, count=1)


async def mark_stream(
    stream: AsyncIterator[bytes], call: OpenCall, *, marks: bool, hides: bool
) -> AsyncIterator[bytes]:
    """A stream of events whose first and last one name the decision.

    Args:
        stream: What passes.
        call: Whose decision it was.
        marks: Whether they do.
        hides: Leave out the event that tells the usage alone: the client did not ask for it.
    """
    written, rest, is_first, drops = _write(call), b"", True, False
    async for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        told = []
        for line in lines:
            if drops and not line.strip():
                drops = False
                continue
            if line.startswith(b"data:"):
                if hides and _USAGE_ALONE.search(line) is not None and b'"usage"' in line:
                    drops = True
                    continue
                if marks and (is_first or _LAST.search(line) is not None):
                    line, count = _DATA.subn(lambda found: found.group() + written, line, count=1)
                    is_first = is_first and not count
            told.append(line + b"\n")
        if told:
            yield b"".join(told)
    if rest:
        yield rest


def _write(call: OpenCall) -> bytes:
    told = json.dumps({"decision": call.decision_id}, separators=(",", ":"))
    return f'"{MEMBER}":{told},'.encode()
