"""Teaches a router that serves what graders say, here and through other gateways of one store."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import sqlalchemy as sa

from graphrouter.data.columns import VIEWS
from graphrouter.exceptions import GraphRouterError, NotApplicableError
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.drift_watch import Alarm, DriftWatch, read_alarms
from graphrouter.gateway.store.store_tables import applied, outcomes
from graphrouter.gateway.store.stored_outcomes import WINDOW, read_lessons
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.wording import count_of

__all__ = [
    "FeedbackLearner",
    "read_applied",
    "settle_router",
    "teach",
    "teach_since",
    "write_applied",
]

PERIOD_S = 0.5
"""Seconds between two looks at the store."""
_SETTLE_S = 30.0
"""Seconds after which grades are settled at the latest, where every look finds new ones."""

_PAIR = ["prompt", "task", "model"]


def _list_keys(lessons: pd.DataFrame) -> list[str]:
    """What grades of one answer have in common: who asked, and what went with it, where told."""
    return [*_PAIR, *(name for name in ("user", "team", *VIEWS) if name in lessons)]


_logger = logging.getLogger(__name__)


def teach(router: Router, lessons: pd.DataFrame, *, settle: bool = True) -> Router:
    """A router that knows graded answers; the same one where there are none for it.

    Grades of one answer, or of one model on one prompt, count as runs of which the mean is taken.

    Answers of models that are not in its pool are left out, as is one that it cannot take, with a
    warning.

    Args:
        router: What there is.
        lessons: By `read_lessons`.
        settle: As in `GraphRouter.add_outcomes`.

    Raises:
        NotApplicableError: torch is not installed, and all is to be settled.
    """
    add: Any = getattr(router, "add_outcomes", None)
    known = lessons[lessons["model"].isin(router.models)]
    if known.empty or add is None:
        return router
    pairs = known.groupby(_list_keys(known), sort=False, dropna=False)["effect"]
    frame = pairs.agg(effect="mean", num_runs="size").reset_index()
    try:
        quickly = {} if settle or not isinstance(router, GraphRouter) else {"settle": False}
        taught: Router = add(frame, **quickly)
    except NotApplicableError as error:
        if settle:
            raise
        return _teach_unsettled(router, frame, error)
    except GraphRouterError as error:
        if len(frame) == 1:
            _logger.warning("A graded answer teaches nothing: %s", error)
            return router
        for _, effects in pairs:  # the others may be good all the same
            router = teach(router, known.loc[effects.index], settle=settle)
        return router
    return taught


def _teach_unsettled(router: Router, frame: pd.DataFrame, error: NotApplicableError) -> Router:
    """A router that knows as many graded answers of each model as it takes in without torch.

    The first ones, up to its limit of what is not settled. One warning tells how many teach
    nothing.

    Args:
        router: What there is.
        frame: Graded answers, all of which cannot be taken in.
        error: Why not.
    """
    if not isinstance(router, GraphRouter):
        raise error
    personal = [name for name in ("user", "team", *VIEWS) if name in frame]
    can = frame[frame[personal].isna().all(axis=1)].drop(columns=personal)
    num_taught = 0
    for _, mine in can.groupby("model", sort=False):
        start, size = 0, len(mine)
        while size := min(size, len(mine) - start):
            try:
                router = router.add_outcomes(mine.iloc[start : start + size], settle=False)
            except GraphRouterError:
                size //= 2
            else:
                start += size
        num_taught += start
    if num_taught < len(frame):
        what = count_of(len(frame) - num_taught, "graded answer")
        _logger.warning("%s of %d cannot be taken in here: %s", what, len(frame), error)
    return router


def settle_router(router: Router) -> Router:
    """A router whose states are solved for all that it knows; itself where they are.

    Raises:
        NotApplicableError: torch is not installed.
    """
    return router.settle() if isinstance(router, GraphRouter) else router


def forget(router: Router, alarm: Alarm, lessons: pd.DataFrame) -> Router:
    """A router that knows of a model that has changed what it did since, and nothing older.

    The same one, with a warning, where nothing teaches what the model does now, or the router
    cannot forget.

    Args:
        router: What there is.
        alarm: Which model, and since when.
        lessons: By `read_lessons`, perhaps of other models and older ones too.
    """
    if alarm.model not in router.models:
        return router
    known = lessons[(lessons["model"] == alarm.model) & (lessons["number"] >= alarm.since)]
    if known.empty or not isinstance(router, GraphRouter):
        _logger.warning(
            "%s has changed, and the router goes on with what it knew: it has no grades with "
            "prompts since, or cannot forget. Serve with --store-prompts full.",
            alarm.model,
        )
        return router
    pairs = known.groupby(_list_keys(known), sort=False, dropna=False)["effect"]
    frame = pairs.agg(effect="mean", num_runs="size").reset_index()
    try:
        return router.add_outcomes(frame, replace=True)
    except GraphRouterError as error:
        _logger.warning("%s has changed, and its new grades teach nothing: %s", alarm.model, error)
        return router


def teach_since(
    router: Router,
    connection: sa.Connection,
    after: int,
    *,
    heeds_alarms: bool = True,
    settle: bool = True,
) -> Router:
    """A router with what graders have said, and without what alarms made of no use.

    Args:
        router: As its artifact has it.
        connection: Of the store.
        after: Number of the last outcome that the artifact has learned.
        heeds_alarms: Whether alarms make it forget.
        settle: As in `teach`.

    Raises:
        NotApplicableError: As by `teach`.
    """
    router = teach(router, read_lessons(connection, after=after), settle=settle)
    raised = read_alarms(connection, after=after) if heeds_alarms else []
    newest = {each.model: each for each in raised if each.forgets}
    for alarm in newest.values():
        router = forget(router, alarm, read_lessons(connection, after=alarm.since - 1))
    return router


def read_applied(connection: sa.Connection, artifact: str) -> int:
    """The number of the last outcome that an artifact has learned from the store; 0 for none.

    Args:
        connection: Of the store.
        artifact: Checksum of its manifest.
    """
    found = sa.select(applied.c.number).where(applied.c.artifact == artifact)
    return connection.execute(found).scalar_one_or_none() or 0


def write_applied(store: Store, artifact: str, number: int) -> None:
    """Note up to which outcome an artifact has learned.

    Args:
        store: Where.
        artifact: Checksum of its manifest.
        number: Of the outcome.
    """
    with store.engine.begin() as connection:
        connection.execute(store.insert_new(applied), {"artifact": artifact, "number": number})


class FeedbackLearner:
    """Looks at a store every half second, and gives all new grades to the router at once.

    They are told beside what the router has settled, within milliseconds; once a look finds no new
    ones its states are solved for all of them.
    """

    def __init__(
        self,
        store: Store,
        change: Callable[[Callable[[Router], Router]], None],
        *,
        after: int = 0,
        watch: DriftWatch | None = None,
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        """A learner that has not begun.

        Args:
            store: Where grades are.
            change: Puts another router in the place of the one that serves.
            after: Number of the last outcome that the router has learned.
            watch: Raises alarms of models that have changed; without it nobody does.
            loaded: Called, in its thread, once all is loaded that learning needs.
        """
        self._store, self._change, self._loaded = store, change, loaded
        self._window = WINDOW if store.is_postgresql else 0
        self._last, self._seen = after, set[int]()
        self._start, self._watch = after, watch
        self._unsettled_since, self._can_settle = math.inf, True
        self._woken, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="learner", daemon=True)

    def start(self) -> None:
        """Learn and settle what the store has now, and then go on in a thread."""
        self.learn()
        self.settle()
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def close(self) -> None:
        """Stop."""
        self._closed = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def learn(self) -> int:
        """Teach the router what is new in the store; the number of grades that was."""
        after = max(self._start, self._last - self._window)
        lessons = None
        with self._store.reader.connect() as connection:
            wanted = sa.select(outcomes.c.number).where(outcomes.c.number > after)
            new = set(connection.execute(wanted).scalars()) - self._seen
            if new:
                lessons = read_lessons(connection, after=min(new) - 1)
                lessons = lessons[lessons["number"].isin(new)]
        if lessons is not None and not lessons.empty:
            taught = lessons
            self._change(lambda router: teach(router, taught, settle=False))
            self._unsettled_since = min(self._unsettled_since, time.monotonic())
        self._last = max(self._last, *new) if new else self._last
        self._seen = {each for each in self._seen | new if each > self._last - self._window}
        if self._watch is not None:
            self._heed(self._watch, new)
        return 0 if lessons is None else len(lessons)

    def settle(self) -> None:
        """Solve for the states of the router where grades came since that was done.

        A server without torch cannot, and goes on with what it was told beside its states.
        """
        if self._unsettled_since == math.inf or not self._can_settle:
            return
        try:
            self._change(settle_router)
        except NotApplicableError as error:
            self._go_unsettled(error)
        self._unsettled_since = math.inf

    def _go_unsettled(self, error: NotApplicableError) -> None:
        """Note that states cannot be solved for here, and say why."""
        self._can_settle = False
        _logger.info("Grades are told beside the states of the router: %s", error)

    def _heed(self, watch: DriftWatch, new: set[int]) -> None:
        """Raise alarms by new grades, and forget what they make of no use."""
        if new:
            with self._store.reader.connect() as connection:
                watch.observe(connection, new)
        with self._store.reader.connect() as connection:  # another, which sees what was raised
            found = watch.take_alarms(connection)
            heeded = [each for each in found if each.forgets and each.number > self._start]
            for alarm in {each.model: each for each in heeded}.values():
                lessons = read_lessons(connection, after=alarm.since - 1)
                known = lessons[lessons["number"] <= self._last]  # later ones are learned later
                self._change(partial(forget, alarm=alarm, lessons=known))

    def _rehearse(self, router: Router) -> Router:
        """The same router: one lesson is thought through and forgotten.

        The first one loads libraries and computes what later ones share, which takes seconds.
        """
        lesson = {"prompt": "Hello.", "task": None, "model": router.models[0], "effect": 1.0}
        told = teach(router, pd.DataFrame([lesson]), settle=False)
        try:
            settle_router(told)
        except NotApplicableError as error:
            self._go_unsettled(error)
        return router

    def _work(self) -> None:
        self._attempt(lambda: self._change(self._rehearse))
        self._loaded()
        while True:
            self._woken.wait(PERIOD_S)
            self._woken.clear()
            if self._closed:
                return
            self._attempt(self._look)

    def _look(self) -> None:
        """Learn, and settle what was learned when nothing new comes."""
        num_new = self.learn()
        if not num_new or time.monotonic() - self._unsettled_since > _SETTLE_S:
            self.settle()

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except sa.exc.DBAPIError as error:
            _logger.warning("The store was not read (%s); it is tried again.", error.orig)
        except Exception:  # it must go on, whatever one grade was
            _logger.exception("Grades were not learned; they are tried again.")
