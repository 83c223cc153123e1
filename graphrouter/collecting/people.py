"""People who grade answers, in the terminal or on a page, without a word of who gave them."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib.resources import files
from typing import Any, NamedTuple, Self

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from graphrouter.collecting.prompt_table import PromptRow
from graphrouter.gateway.page.page_safety import PAGE_HEADERS, is_local_name
from graphrouter.number_checks import is_number

__all__ = ["EFFECT_OF_KEY", "SKIP", "GradingPage", "TerminalJudge"]

EFFECT_OF_KEY = {"1": 0.0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1.0}
"""What keys stand for, from useless to nothing is missing."""
SKIP = "s"
_KINDS = {"grading.css": "text/css", "grading.js": "text/javascript"}


class TerminalJudge:
    """Asks a person at the terminal."""

    name = "person"
    is_person = True
    agreement = None

    def __init__(self, show: Callable[[str], None], read: Callable[[], str]) -> None:
        """A judge.

        Args:
            show: Writes a line.
            read: Waits for a line that the person writes.
        """
        self._show, self._read = show, read

    def check(self, prompts: Sequence[PromptRow]) -> None:
        """Any prompt will do."""

    async def grade(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        """What the person says; None where the answer was skipped."""
        self._show(f"\n{'=' * 60}\nPrompt:\n{prompt.prompt}\n")
        if prompt.expected is not None:
            self._show(f"Expected:\n{prompt.expected}\n")
        self._show(f"Answer:\n{answer}\n")
        while True:
            self._show(f"Grade, 1 (useless) to 5 (nothing is missing), {SKIP} to skip:")
            said = self._read().strip().lower()
            if said == SKIP:
                return None
            if said in EFFECT_OF_KEY:
                return EFFECT_OF_KEY[said]


class _Item(NamedTuple):
    number: int
    prompt: PromptRow
    answer: str
    grade: Future[float | None]


class GradingPage:
    """Asks a person on a page of this machine, by keys or buttons.

    The address holds a secret, and the page is shown under an address or localhost alone, so that
    neither other users of the machine nor other sites can grade. What models wrote is shown as
    text. Use it as a context: the page is there from its beginning to its end.
    """

    name = "person"
    is_person = True
    agreement = None

    def __init__(self, port: int = 0) -> None:
        """A page.

        Args:
            port: To listen on; 0 takes a free one.
        """
        self._token = secrets.token_urlsafe(16)
        self._listening = socket.create_server(("127.0.0.1", port))
        self._item: _Item | None = None
        self._num_asked, self._is_done = 0, False
        config = uvicorn.Config(self._make_app(), log_level="warning", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True
        )

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/{self._token}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done = True
        self._server.should_exit = True
        self._thread.join(10)
        self._listening.close()

    def check(self, prompts: Sequence[PromptRow]) -> None:
        """Any prompt will do."""

    async def grade(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        """What the person says; None where the answer was skipped."""
        self._num_asked += 1
        grade: Future[float | None] = Future()
        self._item = _Item(self._num_asked, prompt, answer, grade)
        try:
            return await asyncio.wrap_future(grade)
        finally:
            self._item = None

    def _make_app(self) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route(f"/{self._token}/", self._show, methods=["GET"])
        for name in _KINDS:
            app.add_api_route(f"/{self._token}/{name}", self._send(name), methods=["GET"])
        app.add_api_route(f"/{self._token}/next", self._tell_next, methods=["GET"])
        app.add_api_route(f"/{self._token}/grade", self._take_grade, methods=["POST"])
        return app

    async def _show(self, request: Request) -> Response:
        return self._answer(request, _read_file("grading.html"), "text/html")

    def _send(self, name: str) -> Callable[[Request], Any]:
        async def send(request: Request) -> Response:
            return self._answer(request, _read_file(name), _KINDS[name])

        return send

    def _answer(self, request: Request, text: str, kind: str) -> Response:
        if not is_local_name(request.url.hostname or ""):
            return Response("Ask for 127.0.0.1.", 403)
        return Response(text, media_type=kind, headers=PAGE_HEADERS)

    async def _tell_next(self, request: Request) -> Response:
        if not is_local_name(request.url.hostname or ""):
            return Response("Ask for 127.0.0.1.", 403)
        item, told = self._item, dict[str, Any](done=self._is_done)
        if item is not None:
            expected = None if item.prompt.expected is None else str(item.prompt.expected)
            told |= {"number": item.number, "prompt": item.prompt.prompt}
            told |= {"expected": expected, "answer": item.answer}
        return JSONResponse(told, headers=PAGE_HEADERS)

    async def _take_grade(self, request: Request) -> Response:
        if not is_local_name(request.url.hostname or ""):
            return Response("Ask for 127.0.0.1.", 403)
        try:
            body = await request.json()
            number, effect = body["number"], body["effect"]
        except (ValueError, LookupError, TypeError):
            return Response("Expected number and effect.", 400)
        if effect is not None and not (is_number(effect) and 0 <= effect <= 1):
            return Response("Expected an effect in [0, 1], or null.", 400)
        item = self._item
        if item is None or item.number != number or item.grade.done():
            return Response("This answer is graded already.", 409, headers=PAGE_HEADERS)
        item.grade.set_result(None if effect is None else float(effect))
        return JSONResponse({}, headers=PAGE_HEADERS)


def _read_file(name: str) -> str:
    return files("graphrouter.collecting").joinpath("templates", name).read_text("utf-8")
