"""A gateway that remembers: its store, who may ask, what it has learned, and the endpoints of that.

Without one a gateway decides, sends on and forgets.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import sqlalchemy as sa
from fastapi import FastAPI, Request
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from graphrouter.artifact import is_registry_uri, read_manifest
from graphrouter.exceptions import NotApplicableError, StoreError
from graphrouter.gateway.access import Access, Admitted
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.request_bodies import read_body
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.store.client_keys import ClientKey, read_keys
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.decision_reading import read_decision
from graphrouter.gateway.store.drift_watch import Alarm, DriftWatch, close_alarm, read_alarms
from graphrouter.gateway.store.feedback_learner import (
    FeedbackLearner,
    read_applied,
    settle_router,
    teach_since,
)
from graphrouter.gateway.store.group_commit import GroupCommit
from graphrouter.gateway.store.retention import DAY_S, delete_prompts
from graphrouter.gateway.store.spending import name_day, read_spent, write_prices
from graphrouter.gateway.store.store_notices import Listener, notify
from graphrouter.gateway.store.stored_calls import EXPLORATION, StoredCallLog, WhatIsKept
from graphrouter.gateway.store.stored_outcomes import Graded, add_grade, read_grades
from graphrouter.router.protocol import Router
from graphrouter.wording import show_value, suggest

__all__ = ["Memory", "TextFigures", "name_artifact"]

T = TypeVar("T")
_LONGEST_ID = 19
"""Digits of a number that a database takes."""
PERIOD_S = 0.5
"""Seconds between two looks at keys and changes, where no notice comes before."""
SWEEPS_EVERY_S = 60.0
"""Seconds between two looks for texts that are too old."""

_logger = logging.getLogger(__name__)


def name_artifact(place: str | Path) -> str:
    """What a store calls an artifact: the checksum of its manifest, or where it lies in MLflow.

    Args:
        place: The artifact.

    Raises:
        ArtifactError: There is none.
    """
    return str(place) if is_registry_uri(place) else str(read_manifest(Path(place))["checksum"])


class TextFigures(Collector):
    """Figures of the texts that a memory keeps, for Prometheus."""

    def __init__(self, memory: Memory) -> None:
        """Figures.

        Args:
            memory: Of the gateway.
        """
        self._memory = memory

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As they are now."""
        for name, told, value in (
            ("deleted_prompts", "Texts too old to be kept.", self._memory.num_deleted),
            (
                "redaction_failures",
                "Texts that are not kept since they could not be redacted.",
                self._memory.log.kept.redact.num_failed,
            ),
        ):
            yield CounterMetricFamily(f"graphrouter_{name}", told, value)


class Memory:
    """The store of a gateway, and all that reads or writes it while it serves."""

    def __init__(self, store: Store, kept: WhatIsKept) -> None:
        """What a gateway remembers.

        Args:
            store: Where it lies; closed with this.
            kept: How decisions are written down.
        """
        self.store, self.writer = store, GroupCommit(store)
        self.keys = self._read_keys()
        """Those of the store by their ids, revoked ones too, as they were a second ago or later."""
        self.log = StoredCallLog(store, self.writer, kept, lambda key_id: self.keys.get(key_id))
        self.watch = None if kept.drift is None else DriftWatch(store, kept.drift)
        """Compares grades with what was expected; None where nobody does."""
        self._learner: FeedbackLearner | None = None
        self._closing, self._woken = threading.Event(), threading.Event()
        self._listener = Listener(store, self._hear)
        self._watch = threading.Thread(target=self._watch_store, name="watch", daemon=True)
        self._follow: Callable[[], None] = lambda: None
        self._swept = -math.inf
        self.num_deleted = 0
        """Texts that were too old to be kept, and that this gateway has deleted."""
        write_prices(store, kept.prices)
        self._note_explored()

    def start(
        self,
        change: Callable[[Callable[[Router], Router]], None],
        follow: Callable[[], None] = lambda: None,
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        """Teach the router what graders have said, and go on while it serves.

        Args:
            change: Puts another router in the place of the one that serves.
            follow: Called twice a second, and at once where the store tells of changes, to look at
                what other gateways have written.
            loaded: Called once all is loaded that learning needs.
        """
        self._follow = follow
        with self.store.reader.connect() as connection:
            after = read_applied(connection, self.log.kept.artifact)
        self._learner = FeedbackLearner(
            self.store, change, after=after, watch=self.watch, loaded=loaded
        )
        self._learner.start()
        self._watch.start()
        self._listener.start()

    def wake(self) -> None:
        """Learn new grades at once."""
        if self._learner is not None:
            self._learner.wake()

    def is_ready(self) -> bool:
        """Whether the store answers."""
        try:
            with self.store.reader.connect() as connection:
                return bool(connection.execute(sa.select(1)).scalar_one())
        except sa.exc.DBAPIError:
            return False

    def close(self) -> None:
        """Write what waits, and close the store."""
        self._closing.set()
        self._woken.set()
        self._listener.close()
        if self._learner is not None:
            self._learner.close()
            self._watch.join()
        self.writer.close()
        self.store.close()

    def teach_all(self, router: Router, artifact: str) -> Router:
        """A router that was just read, with what graders have said since it was written.

        Args:
            router: As its artifact has it.
            artifact: What `name_artifact` calls that.
        """
        with self.store.reader.connect() as connection:
            after = read_applied(connection, artifact)
            heeds = self.watch is not None
            taught = teach_since(router, connection, after, heeds_alarms=heeds, settle=False)
        try:
            return settle_router(taught)
        except NotApplicableError:  # a server without torch goes on with what it was told
            return taught

    def add_endpoints(
        self, app: FastAPI, access: Access, read_state: Callable[[], ServingState]
    ) -> None:
        """Add the endpoints of decisions and grades.

        Args:
            app: Of the gateway.
            access: Who may ask them.
            read_state: What is served at the moment.
        """

        async def explain(request: Request) -> Response:
            return await self._explain(request, access.admit(request, "route"))

        async def grade(request: Request) -> Response:
            return await self._grade(request, access.admit(request, "grade"), read_state())

        async def list_alarms(request: Request) -> Response:
            access.admit_change(request)
            found = await anyio.to_thread.run_sync(self._read, read_alarms)
            return JSONResponse({"alarms": [_tell_alarm(each) for each in found]})

        async def close_one(request: Request) -> Response:
            access.admit_change(request)
            return await self._close_alarm(request.path_params["alarm_id"])

        app.add_api_route("/admin/alarms", list_alarms, methods=["GET"])
        app.add_api_route("/admin/alarms/{alarm_id}", close_one, methods=["DELETE"])
        app.add_api_route("/v1/decisions/{decision_id}", explain, methods=["GET"])
        app.add_api_route("/v1/outcomes", grade, methods=["POST"])

    async def _explain(self, request: Request, asks: Admitted) -> Response:
        """What the store says of a decision; a key sees its own, one for admins every one."""
        decision_id = request.path_params["decision_id"]
        key_id = None if asks.is_admin else asks.key_id
        found = await anyio.to_thread.run_sync(
            self._read, lambda connection: read_decision(connection, decision_id, key_id=key_id)
        )
        if found is None:
            raise ApiError(404, f"There is no decision {decision_id!r}.")
        return JSONResponse(found)

    async def _grade(self, request: Request, asks: Admitted, state: ServingState) -> Response:
        """Write grades down, one or several under `outcomes`, and let the router learn of them."""
        body = await read_body(request)
        redact = self.log.kept.redact
        grades = [replace(each, prompt=redact(each.prompt)) for each in read_grades(body)]
        for each in grades:
            if each.model is not None and each.model not in state.names:
                hint = suggest(each.model, state.names, "There are: ")
                raise ApiError(400, f"There is no model {each.model!r}. {hint}", "model")

        def add(connection: sa.Connection) -> list[Graded]:
            added = [add_grade(self.store, connection, each, asks.key_id) for each in grades]
            notify(self.store, connection)
            return added

        try:
            found = await self.writer.run(add)
        except StoreError as error:
            raise ApiError(503, str(error), code="store_unavailable") from None
        self.wake()
        candidates = state.router.pool.index
        told = [
            asdict(replace(each, teaches=each.teaches and each.model in candidates))
            for each in found
        ]
        return JSONResponse({"outcomes": told} if "outcomes" in body else told[0])

    async def _close_alarm(self, alarm_id: str) -> Response:
        is_number = alarm_id.isascii() and alarm_id.isdecimal() and len(alarm_id) < _LONGEST_ID
        number = int(alarm_id) if is_number else 0
        try:
            closed = await self.writer.run(lambda connection: close_alarm(connection, number))
        except StoreError as error:
            raise ApiError(503, str(error), code="store_unavailable") from None
        if not closed:
            raise ApiError(404, f"There is no open alarm {show_value(alarm_id)}.")
        return JSONResponse({"closed": number})

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self.store.reader.connect() as connection:
                return work(connection)
        except sa.exc.DBAPIError as error:
            raise ApiError(503, f"The store cannot be read ({error.orig}).") from None

    def _read_keys(self) -> dict[str, ClientKey]:
        with self.store.reader.connect() as connection:
            return {each.id: each for each in read_keys(connection)}

    def _note_explored(self) -> None:
        """Tell the exploration what all gateways of the store have spent on it today."""
        exploration, now = self.log.kept.exploration, time.time()
        if exploration is not None and exploration.nanousd_per_day is not None:
            with self.store.reader.connect() as connection:
                exploration.note_spent(now, read_spent(connection, EXPLORATION, name_day(now)))

    def _hear(self) -> None:
        """Look at the store at once: another gateway has written to it."""
        self._woken.set()
        self.wake()

    def _watch_store(self) -> None:
        while not self._closing.is_set():
            self._woken.wait(PERIOD_S)
            self._woken.clear()
            if self._closing.is_set():
                return
            try:
                self.keys = self._read_keys()
                self._note_explored()
                self._follow()
                self._sweep()
            except sa.exc.DBAPIError:
                continue  # all stays as it was until the store answers again
            except Exception:  # it must go on, whatever one change was
                _logger.exception("Changes were not taken in; they are tried again.")

    def _sweep(self) -> None:
        """Delete texts that are too old, now and then."""
        days = self.log.kept.prompt_days
        if days is not None and time.monotonic() - self._swept > SWEEPS_EVERY_S:
            self._swept = time.monotonic()
            self.num_deleted += delete_prompts(self.store, time.time() - days * DAY_S)


def _tell_alarm(alarm: Alarm) -> dict[str, object]:
    return {**alarm._asdict(), "message": alarm.describe()}
