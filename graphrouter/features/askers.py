"""Who asked the queries of a support, by position: users, and newcomers of each team."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrouter.artifact_tables import Table
from graphrouter.data.prompt_keys import withhold_person
from graphrouter.types import IntArray

if TYPE_CHECKING:
    from graphrouter.features.tables import Askers


@dataclass(frozen=True, eq=False)
class People:
    """Users and teams of some queries.

    Positions are those of the nodes of a graph: U users, then one of a team for each of G teams,
    who stands for its newcomers, then one of no team.

    Example:
        >>> people = People.of({"user": ["ann", "bob", None], "team": ["sales", None, "law"]})
        >>> people.users, people.teams, people.of_query.tolist()
        (('bob', 'ann'), ('sales', 'law'), [1, 0, 3])
        >>> people.locate(["ann", "new", "new", None], [None, "sales", "none", None]).tolist()
        [1, 2, 4, -1]
    """

    users: tuple[str, ...]
    """In the order of what stands for them where names are withheld, so that no name is needed."""
    teams: tuple[str, ...]
    """In the same order."""
    of_query: IntArray
    """(S,) int64 position of who asked each query; -1 = nobody is named."""
    team_of: IntArray
    """(U + G + 1,) int64 position of the team of each; G = none."""

    @classmethod
    def of(cls, queries: Table | dict[str, list[Any]]) -> People | None:
        """Those who asked the queries of a table; None where nobody is named.

        Args:
            queries: With the columns `user` and `team`, either or none.
        """
        given = {name: _read_names(queries, name) for name in ("user", "team")}
        named = [column for column in given.values() if column is not None]
        if not named:
            return None
        nobody: list[str | None] = [None] * len(named[0])
        user, team = (given[name] or nobody for name in ("user", "team"))
        users, teams = (
            tuple(sorted({*filter(None, column)}, key=partial(withhold_person, kind=kind)))
            for column, kind in ((user, "user"), (team, "team"))
        )
        if not users and not teams:
            return None
        place = {name: i for i, name in enumerate(teams)}
        of_user = dict.fromkeys(users, len(teams))
        of_user |= {u: place[t] for u, t in zip(user, team, strict=True) if u and t}
        own = [*of_user.values(), *range(len(teams) + 1)]
        people = cls(users, teams, np.empty(0, np.int64), np.array(own, dtype=np.int64))
        return cls(users, teams, people.locate(user, team), people.team_of)

    def locate(
        self, users: Sequence[str | None], teams: Sequence[str | None] | None = None
    ) -> IntArray:
        """Position of each user, of a newcomer by the team: (B,) int64, -1 = nobody is named.

        Args:
            users: Names, None where nobody is named.
            teams: Teams, which are read of users who are new.
        """
        by_user, by_team = self._places
        first, found = len(self.users), []
        for user, team in zip(users, teams or [None] * len(users), strict=True):
            if user is None and team is None:
                found.append(-1)
                continue
            known = _find(by_user, user, "user")
            newcomer = first + _find(by_team, team, "team", len(self.teams))
            found.append(known if known >= 0 else newcomer)
        return np.array(found, dtype=np.int64)

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        by_user, by_team = (
            {name: i for i, name in enumerate(names)} for names in (self.users, self.teams)
        )
        return by_user, by_team

    def to_nodes(self) -> Askers:
        """The same as tensors."""
        import torch  # here: serving makes no tensors

        from graphrouter.features.tables import Askers

        return Askers(torch.from_numpy(self.of_query), torch.from_numpy(self.team_of))


def _find(places: dict[str, int], name: str | None, kind: str, absent: int = -1) -> int:
    """The place of a name, or of what stands for it where names are withheld."""
    if name is None:
        return absent
    found = places.get(name)
    return places.get(withhold_person(name, kind), absent) if found is None else found


def _read_names(queries: Table | dict[str, list[Any]], name: str) -> list[str | None] | None:
    """A column of names, None where nobody is named; None without such a column."""
    if name not in queries:
        return None
    return [value if isinstance(value, str) else None for value in queries[name]]
