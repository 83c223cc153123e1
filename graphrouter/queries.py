"""What routers are asked: prompts, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from graphrouter.chats.chat_prompts import Prompt, is_chat, to_text
from graphrouter.exceptions import ChatError, DataError
from graphrouter.grades import Grade, KnownOutcomes, read_known
from graphrouter.notebook import cut_text
from graphrouter.query_views import (
    Context,
    Embedding,
    read_context,
    read_contexts,
    read_embeddings,
)
from graphrouter.wording import count_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class Queries:
    """What routers are asked: prompts, and what is known of each.

    One value goes from the caller to the method that predicts, so that a further fact about a
    query is added here and nowhere on the way.

    Example:
        >>> queries = Queries.of(["Add 3 and 4.", "Hello"], tasks=["arithmetic", None])
        >>> len(queries), queries.take([0]).tasks
        (2, ('arithmetic',))
    """

    prompts: tuple[str, ...]
    """An empty text is allowed."""
    tasks: tuple[str | None, ...]
    """Task of each query, None where unknown."""
    known: tuple[KnownOutcomes, ...] = field(default=(), hash=False)
    """Grades of answers that models have given to the very query, by model; nothing is known of
    any without it."""
    users: tuple[str | None, ...] = ()
    """Who asks each, without outer blanks, None where nobody is named; nobody is without it."""
    teams: tuple[str | None, ...] = ()
    """The team of who asks each, None where unknown. It is read of users who are new: of others it
    is known."""
    contexts: tuple[Context | None, ...] = ()
    """Documents that go with each query, None where there are none; of none without it."""
    embeddings: tuple[Embedding | None, ...] = ()
    """Vector that goes with each query, None where there is none; of none without it."""

    def __post_init__(self) -> None:
        for name in ("users", "teams"):
            self._fill_people(name)
        for name, optional in (("prompts", ""), ("tasks", ", None where unknown")):
            values = getattr(self, name)
            if not isinstance(values, tuple):
                raise DataError(
                    f"Queries.{name} is a {type(values).__name__}; expected a tuple. Queries.of "
                    "makes one of any sequence."
                )
            for i, value in enumerate(values):
                if not isinstance(value, str) and (value is not None or not optional):
                    raise DataError(
                        f"{name}[{i}] is a {type(value).__name__}; expected a string{optional}."
                    )
        if len(self.tasks) != len(self.prompts):
            raise DataError(
                f"tasks has {count_of(len(self.tasks), 'entry')} for "
                f"{count_of(len(self.prompts), 'prompt')}; expected "
                "one a prompt, None where unknown."
            )
        self._read_views()
        if not self.known:
            object.__setattr__(self, "known", ({},) * len(self.prompts))
            return
        if len(self.known) != len(self.prompts):
            raise DataError(
                f"known has {count_of(len(self.known), 'entry')} for "
                f"{count_of(len(self.prompts), 'prompt')}; expected one a prompt, None where "
                "nothing is known."
            )
        if any(each != {} for each in self.known):
            read = tuple(read_known(each, f"known[{i}]") for i, each in enumerate(self.known))
            object.__setattr__(self, "known", read)

    def _fill_people(self, name: str) -> None:
        """Check a field of people, take outer blanks off, and make one entry a prompt of none."""
        named = getattr(self, name)
        if not named:
            object.__setattr__(self, name, (None,) * len(self.prompts))
            return
        if not isinstance(named, tuple) or len(named) != len(self.prompts):
            raise DataError(
                f"{name} has {count_of(len(named), 'entry')} for "
                f"{count_of(len(self.prompts), 'prompt')}; expected one a prompt, None where "
                "nobody is named."
            )
        for i, value in enumerate(named):
            check_person(value, f"{name}[{i}]")
        stripped = tuple(None if value is None else value.strip() for value in named)
        object.__setattr__(self, name, stripped)  # as tables have them

    def _read_views(self) -> None:
        """Take contexts and embeddings for what they mean, one a query."""
        for name, read in (("contexts", read_contexts), ("embeddings", read_embeddings)):
            given = getattr(self, name)
            if not given:
                object.__setattr__(self, name, (None,) * len(self.prompts))
            elif any(value is not None for value in given) or len(given) != len(self.prompts):
                object.__setattr__(self, name, read(given, len(self.prompts)))

    @property
    def names_people(self) -> bool:
        """Whether a user or a team is named for any query."""
        return any(name is not None for name in (*self.users, *self.teams))

    @classmethod
    def of(
        cls,
        queries: Queries | Sequence[Prompt],
        tasks: Sequence[str | None] | None = None,
        known: Sequence[Mapping[str, float | Grade] | None] | None = None,
        users: Sequence[str | None] | None = None,
        teams: Sequence[str | None] | None = None,
        contexts: Sequence[str | Sequence[str] | None] | None = None,
        embeddings: Sequence[Embedding | Sequence[float] | None] | None = None,
    ) -> Queries:
        """The queries, checked; those that are `Queries` already are given back as they are.

        Args:
            queries: Prompts, or queries with all that is known of them. A prompt is a text, or the
                messages of a chat, which is routed by the text that the gateway reads off it.
            tasks: Task of each prompt, None where unknown; without it, no task is known.
            known: Grades of answers to each prompt, by model: numbers in [0, 1], which count as
                certain, or `Grade`; None where nothing is known.
            users: Who asks each prompt, None where nobody is named.
            teams: The team of who asks, None where unknown.
            contexts: Documents that go with each prompt: a text, or a list of texts; None where
                there are none.
            embeddings: Vector that goes with each prompt: an `Embedding`, or numbers of the encoder
                named own; None where there is none.

        Raises:
            DataError: `queries` is a single prompt or holds something else than prompts, the
                lengths differ, a grade, a context or an embedding is none, a user is blank, or a
                fact is given beside `Queries`, which have their own.
        """
        if isinstance(queries, Queries):
            beside = {"tasks": tasks, "grades": known, "users": users, "teams": teams}
            for name, given in {**beside, "contexts": contexts, "embeddings": embeddings}.items():
                if given is not None:
                    raise DataError(
                        f"{name} were given beside Queries, which have {name} of their own; "
                        "expected one of the two. Pass Queries.of(prompts, tasks, known) alone."
                    )
            return queries
        if isinstance(queries, str):
            raise DataError(
                "prompts is a single string; expected a sequence of strings. For one prompt pass "
                "[prompt]."
            )
        if not isinstance(queries, Iterable) or isinstance(queries, Mapping):
            raise DataError(
                f"prompts is a {type(queries).__name__}; expected a sequence of strings or Queries."
            )
        if hasattr(queries, "columns"):  # iterating over a frame gives the names of its columns
            raise DataError(
                "prompts is a frame; expected a sequence of strings. Pass Queries.of_frame(frame), "
                "which reads its columns prompt and task."
            )
        if is_chat(queries):
            raise DataError(
                "prompts is the messages of one chat; expected a sequence of prompts. For one chat "
                "pass [messages]."
            )
        prompts = tuple(_read_prompt(each, f"prompts[{i}]") for i, each in enumerate(queries))
        graded = _read_sequence(known)
        facts: tuple[Any, ...] = (
            *(_read_people(given, name) for given, name in ((users, "users"), (teams, "teams"))),
            () if contexts is None else read_contexts(contexts, len(prompts)),
            () if embeddings is None else read_embeddings(embeddings, len(prompts)),
        )
        if tasks is None:
            return cls(prompts, (None,) * len(prompts), graded, *facts)
        if isinstance(tasks, str) or not isinstance(tasks, Iterable):
            raise DataError(
                f"tasks is a {type(tasks).__name__}; expected a sequence with one task a prompt, "
                "None where unknown."
            )
        return cls(prompts, tuple(tasks), graded, *facts)

    @classmethod
    def of_one(
        cls,
        prompt: Prompt,
        task: str | None = None,
        user: str | None = None,
        team: str | None = None,
        context: str | Sequence[str] | None = None,
        embedding: Embedding | Sequence[float] | None = None,
    ) -> Queries:
        """One query. Its errors call each fact as one gives it: `user`, and not `users[0]`.

        Args:
            prompt: A text, or the messages of a chat.
            task: Its task, None where unknown.
            user: Who asks, None where nobody is named.
            team: The team of who asks, None where unknown.
            context: Documents that go with it, a text or a list of texts.
            embedding: Vector that goes with it: an `Embedding`, or numbers of the encoder named
                own.

        Raises:
            DataError: As `of`.

        Example:
            >>> Queries.of_one("Hi", user="ann").users
            ('ann',)
        """
        text = _read_prompt(prompt, "prompt")
        for name, value, optional in (("prompt", text, ""), ("task", task, ", None where unknown")):
            if not isinstance(value, str) and (value is not None or not optional):
                raise DataError(f"{name} is a {type(value).__name__}; expected a string{optional}.")
        check_person(user, "user")
        check_person(team, "team")
        documents = read_context(context)
        vector = None if embedding is None else Embedding.of(embedding)
        people = () if user is None else (user,), () if team is None else (team,)
        views = () if documents is None else (documents,), () if vector is None else (vector,)
        return cls((text,), (task,), (), *people, *views)

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> Queries:
        """The queries of a table, by its column `prompt`.

        Where they are there, `task`, `user`, `team`, `context`, `embedding` and `embedding_encoder`
        are read too. What is empty or no text of the first three is unknown.

        Raises:
            DataError: A prompt is no text, or a context or an embedding is none.

        Example:
            >>> import pandas as pd
            >>> Queries.of_frame(pd.DataFrame({"prompt": ["Hello"], "task": [float("nan")]})).tasks
            (None,)
        """
        tasks, users, teams = (
            list(map(_keep_name, frame[name].tolist())) if name in frame.columns else None
            for name in ("task", "user", "team")
        )
        contexts, embeddings = _read_view_columns(frame)
        return cls.of(
            frame["prompt"].tolist(),
            tasks,
            users=users,
            teams=teams,
            contexts=contexts,
            embeddings=embeddings,
        )

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.prompts)

    def __repr__(self) -> str:
        shown = ", ".join(repr(cut_text(prompt, 40)) for prompt in self.prompts[:2])
        more = ", ..." if len(self) > 2 else ""
        return f"{type(self).__name__}({count_of(len(self), 'query')}: {shown}{more})"

    def take(self, rows: Iterable[int]) -> Self:
        """The queries of the given numbers, in the order given."""
        chosen = [int(row) for row in rows]
        columns = (getattr(self, fact.name) for fact in fields(self))
        return type(self)(*(tuple(column[row] for row in chosen) for column in columns))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The queries of all parts, one part after the other.

        Example:
            >>> Queries.join([Queries.of(["Hi"]), Queries.of(["Bye"], tasks=["end"])]).tasks
            (None, 'end')
        """
        of_facts = ((getattr(part, fact.name) for part in parts) for fact in fields(cls))
        return cls(*(tuple(chain.from_iterable(columns)) for columns in of_facts))

    def list_facts(self, row: int) -> dict[str, Any]:
        """Who asks a query and what goes with it, by the columns of tables; what is unknown is not.

        Example:
            >>> Queries.of(["Hi"], users=["ann"], contexts=["A greeting."]).list_facts(0)
            {'user': 'ann', 'context': ['A greeting.']}
        """
        context, embedding = self.contexts[row], self.embeddings[row]
        facts = {
            "user": self.users[row],
            "team": self.teams[row],
            "context": None if context is None else list(context),
            "embedding": None if embedding is None else embedding.vector,
            "embedding_encoder": None if embedding is None else embedding.encoder,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def without_tasks(self) -> Self:
        """The same queries, their tasks hidden."""
        return replace(self, tasks=(None,) * len(self))

    def with_known(self, known: Sequence[KnownOutcomes]) -> Self:
        """The same queries, with grades of answers to each."""
        return replace(self, known=tuple(known))


def check_person(name: object, where: str) -> None:
    """Refuse what is no name of a user or a team; None names nobody.

    Raises:
        DataError: It is no text, or blank.
    """
    if name is not None and not (isinstance(name, str) and name.strip()):
        raise DataError(
            f"{where} is {name!r}; expected a name that is not blank, None where nobody is named."
        )


def _read_people(given: Sequence[str | None] | None, name: str) -> tuple[str | None, ...]:
    """One entry a prompt, () where nobody is named for any."""
    if isinstance(given, str) or (given is not None and not isinstance(given, Iterable)):
        raise DataError(
            f"{name} is a {type(given).__name__}; expected a sequence with one a prompt, None "
            "where nobody is named."
        )
    return () if given is None else tuple(given)


def _keep_name(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _read_view_columns(
    frame: pd.DataFrame,
) -> tuple[list[Any] | None, list[Embedding | None] | None]:
    """Columns `context` and `embedding` of a table, None where it has no such column."""
    contexts = embeddings = None
    if "context" in frame.columns:
        contexts = [None if _is_nan(cell) else cell for cell in frame["context"].tolist()]
    if "embedding" in frame.columns:
        named: list[str | None] = [None] * len(frame)
        if "embedding_encoder" in frame.columns:
            named = [x if isinstance(x, str) else None for x in frame["embedding_encoder"].tolist()]
        cells = zip(frame["embedding"].tolist(), named, strict=True)
        embeddings = [
            None
            if cell is None or _is_nan(cell)
            else Embedding.of(cell, name, f"embedding, row {i}")
            for i, (cell, name) in enumerate(cells, start=1)
        ]
    return contexts, embeddings


def _is_nan(cell: object) -> bool:
    return isinstance(cell, float) and cell != cell


def _read_prompt(prompt: Prompt, where: str) -> str:
    """The text of a prompt; what is no prompt stays as it is."""
    if not is_chat(prompt):
        return prompt  # type: ignore[return-value]
    try:
        return to_text(prompt)
    except ChatError as error:
        raise ChatError(f"{where}: {error}", member=error.member) from None


def _read_sequence(
    known: Sequence[Mapping[str, float | Grade] | None] | None,
) -> tuple[KnownOutcomes, ...]:
    """One entry a prompt, () where nothing is known of any."""
    if known is None:
        return ()
    if isinstance(known, str | Mapping) or not isinstance(known, Iterable):
        raise DataError(
            f"known is a {type(known).__name__}; expected a sequence with one mapping from models "
            "to grades a prompt, None where nothing is known. For one prompt pass [{...}]."
        )
    return tuple({} if each is None else each for each in known)  # type: ignore[misc]
