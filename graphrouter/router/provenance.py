"""Where a graph router comes from, and what was changed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from graphrouter.data import Split
from graphrouter.data.prompt_keys import prompt_key
from graphrouter.router.parts import Support

ChangeName = Literal[
    "add_model",
    "remove_model",
    "update_card",
    "set_price",
    "add_outcomes",
    "replace_outcomes",
    "add_task",
    "forget_user",
    "migrate",
]
DEVIATION_SHARE = "deviation_share"
"""Name of the metric that says how much is believed of what texts say of models; see
`Decision.deviation_share`."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed after training."""

    what: ChangeName
    model: str
    """Empty where several models are concerned, or none in particular."""
    num_outcomes: int
    """Outcomes that came with it."""
    at: str
    """When, in UTC, as ISO 8601."""
    task: str = ""
    """The task that was added, else empty."""

    @classmethod
    def now(
        cls, what: ChangeName, *, model: str = "", num_outcomes: int = 0, task: str = ""
    ) -> Change:
        """A change that is made at this moment.

        Example:
            >>> Change.now("add_task", task="law").task
            'law'
        """
        return cls(what, model, num_outcomes, datetime.now(UTC).isoformat(timespec="seconds"), task)


def count_forgotten(changes: Iterable[str]) -> int:
    """How many of the changes, by name, forgot a user."""
    return sum(what == "forget_user" for what in changes)


@dataclass(frozen=True)
class Provenance:
    """Where a router comes from."""

    dataset: str
    fingerprint: str
    split: Split
    seen_prompts: frozenset[str]
    """`prompt_key` of every training and validation prompt: what the router may not be judged on,
    also under another id."""
    metrics: dict[str, float]
    """Validation figures of the chosen epoch, and of the calibration."""
    changes: tuple[Change, ...] = ()
    """What was changed after training, in order."""

    @property
    def num_forgotten(self) -> int:
        """How many users were forgotten; who they were is not kept."""
        return count_forgotten(change.what for change in self.changes)

    def without(self, forgotten: Support, rest: Support) -> Provenance:
        """The provenance without queries that are forgotten, and prompts that only they had.

        Args:
            forgotten: What was seen of a user.
            rest: What is left.
        """
        gone = set(forgotten.query_ids)
        sides = {
            side: tuple(query for query in getattr(self.split, side) if query not in gone)
            for side in ("train", "validation", "test")
        }
        prompts = set(forgotten.prompt_keys) - set(rest.prompt_keys)
        return replace(
            self,
            split=replace(self.split, **sides),
            seen_prompts=self.seen_prompts - prompts,
        )

    def after(
        self, made: Sequence[Change], support: Support, before: Support | None = None
    ) -> Provenance:
        """The provenance once changes were made that lead from a support `before` to this one.

        Prompts that came with the changes count as seen from then on.
        """
        seen = self.seen_prompts
        if before is None or before.query_table is not support.query_table:
            seen = seen.union(support.prompt_keys)
        return replace(self, seen_prompts=seen, changes=(*self.changes, *made))

    def after_outcomes(self, made: Change, prompts: Iterable[str]) -> Provenance:
        """The provenance once outcomes on these prompts came."""
        seen = self.seen_prompts.union(map(prompt_key, prompts))
        return replace(self, seen_prompts=seen, changes=(*self.changes, made))
