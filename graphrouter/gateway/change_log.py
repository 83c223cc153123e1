"""Makes changes of what is served in one order for all gateways of a store, and writes them down.

Each gateway reads the changes of the others twice a second and makes them too. A change has the
revision behind the last one that its gateway knows; who was slower reads the other change first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from graphrouter.exceptions import GraphRouterError
from graphrouter.gateway.admin_changes import OF_BOTH, AdminChange, AdminChanger
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.stored_changes import (
    FORGET,
    StoredChange,
    append_change,
    read_changes,
)

__all__ = ["ChangeLog"]

logger = logging.getLogger(__name__)
_MOST_TRIES = 20


class ChangeLog:
    """The changes of one gateway, and of all that share its store where there is one."""

    def __init__(self, changer: AdminChanger, store: Store | None = None) -> None:
        """A log.

        Args:
            changer: Makes changes.
            store: Where they are written down; None for a gateway alone, which forgets them.
        """
        self._changer, self._store = changer, store

    def make(
        self,
        state: ServingState,
        change: AdminChange,
        key_id: str | None,
        check: Callable[[ServingState], None],
    ) -> ServingState:
        """What is served after a change, which is written down before it holds.

        Args:
            state: What is served.
            change: The change.
            key_id: Who makes it.
            check: Raises where it is not to be made of what is served; that may be newer by then.

        Raises:
            GraphRouterError: It cannot be made.
            ApiError: It cannot be made, or the store takes nothing.
        """
        change = change._replace(at=time.time())
        for _ in range(_MOST_TRIES):
            state = self.follow(state)
            check(state)
            changed = self._changer.apply(change, state)
            if self._write(changed.revision, change, key_id, state.artifact):
                logger.warning("Revision %d: key %s: %s.", changed.revision, key_id, change)
                return changed
        raise ApiError(503, "Others change the pool all the time. Try again.")

    def is_behind(self, state: ServingState) -> bool:
        """Whether others have made changes.

        Args:
            state: What is served.
        """
        if self._store is None:
            return False
        with self._store.reader.connect() as connection:
            return bool(read_changes(connection, after=state.revision))

    def follow(self, state: ServingState) -> ServingState:
        """What is served after the changes that others have made.

        One that cannot be made here is left out with a warning.

        Args:
            state: What is served.
        """
        for each in self._read(state.revision):
            state = self._repeat(each, state)
        return state

    def begin(self, state: ServingState) -> ServingState:
        """What a gateway that starts serves: with the changes that admins have made before.

        Changes of models are those of its artifact; policy and routes are the last ones.

        Args:
            state: As it was told to.
        """
        made = self._read(0)
        last = max((at for at, each in enumerate(made) if each.kind == FORGET), default=-1)
        holding = 0
        for each in made[last + 1 :]:
            if each.kind not in OF_BOTH:
                continue
            if each.kind.startswith("model") and each.artifact != state.artifact:
                continue
            state, holding = self._repeat(each, state), holding + 1
        if holding:
            logger.warning(
                "%d changes by admins hold; `graphrouter changes` shows and forgets them.", holding
            )
        self._warn_of_aborted(made, state)
        return replace(state, revision=made[-1].revision) if made else state

    def _warn_of_aborted(self, made: list[StoredChange], state: ServingState) -> None:
        tried = [each for each in made if each.kind in ("reload", "abort", "promote")]
        if tried and tried[-1].kind == "abort" and tried[-1].name == state.artifact:
            logger.warning(
                "The artifact %s was tried and aborted; it serves now, since it is the one that is "
                "there. Put the one before it in its place.",
                state.artifact,
            )

    def _repeat(self, stored: StoredChange, state: ServingState) -> ServingState:
        """With a change that was made, at its revision."""
        if stored.kind == FORGET:
            return replace(state, revision=stored.revision)
        change = AdminChange(stored.kind, stored.body, stored.name, stored.time)  # type: ignore[arg-type]
        at = replace(state, revision=stored.revision - 1)
        try:
            changed = self._changer.apply(change, at)
        except (GraphRouterError, ApiError) as error:
            logger.warning("Revision %d is left out here: %s", stored.revision, error)
            return replace(state, revision=stored.revision)
        logger.warning("Revision %d: key %s: %s.", stored.revision, stored.key_id, change)
        return changed

    def _read(self, after: int) -> list[StoredChange]:
        if self._store is None:
            return []
        try:
            with self._store.reader.connect() as connection:
                return read_changes(connection, after=after)
        except sa.exc.DBAPIError as error:
            raise ApiError(503, f"The store cannot be read ({error.orig}).") from None

    def _write(self, revision: int, change: AdminChange, key_id: str | None, artifact: str) -> bool:
        if self._store is None:
            return True
        row = StoredChange(
            revision, change.at, key_id, artifact, change.kind, change.name, change.body
        )
        try:
            return append_change(self._store, row)
        except sa.exc.DBAPIError as error:
            told = f"The store takes nothing ({error.orig})."
            raise ApiError(503, told, code="store_unavailable") from None
