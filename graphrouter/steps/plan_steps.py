"""The steps of a plan as people write them, read and held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from graphrouter.chats.chat_prompts import is_chat
from graphrouter.exceptions import DataError
from graphrouter.grades import Grade
from graphrouter.number_checks import is_amount
from graphrouter.queries import check_person
from graphrouter.query_views import Context, Embedding, read_context
from graphrouter.text_files import read_plain_file
from graphrouter.types import BoolArray, FloatArray, Queries
from graphrouter.wording import count_of, name_some, show_value, suggest

if TYPE_CHECKING:
    from graphrouter.chats.chat_prompts import Prompt

MOST_STEPS = 1_000
"""Steps of one plan."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan: who acts, what is asked, and what it builds upon.

    A step that has a `model` is settled: it was run with that model, and what is known of it counts
    for the steps that come after it.

    Example:
        >>> Step("review", "Is the draft right?", after=("draft",)).after
        ('draft',)
    """

    role: str | None
    """The task of the router that the step is of; None where unknown."""
    prompt: Prompt
    """What is asked as far as it is known beforehand: a text, or the messages of a chat."""
    name: str | None = None
    """What others call it; by default its role, with a number from the second step of a role on."""
    after: tuple[str, ...] = ()
    """Names of the steps whose results it uses."""
    weight: float | None = None
    """What it counts when it goes right, at least 0. Where no step says so, the steps that nothing
    comes after share 1 equally."""
    model: str | None = None
    """Who has run it; None for a step that is still to be run."""
    effect: float | Grade | None = None
    """Grade of what came of it, a number in [0, 1] or a `Grade`; None where nobody graded it."""
    cost_usd: float | None = None
    """US dollars that it was billed; what was expected counts without it."""
    context: Context | None = None
    """Documents that go with the prompt: a text, or a list of texts."""
    embedding: Embedding | None = None
    """Vector that goes with the prompt: an `Embedding`, or numbers of the encoder named own."""

    @classmethod
    def of(cls, value: Step | Mapping[str, Any], where: str = "the step") -> Step:
        """A step, checked; a mapping has the fields by name.

        Args:
            value: A step, or such a mapping.
            where: What to call it in an error.

        Raises:
            DataError: It is neither, lacks a prompt, or a field is of another kind.

        Example:
            >>> Step.of({"role": "code_writing", "prompt": "Write it.", "after": "plan"}).after
            ('plan',)
        """
        if isinstance(value, Step):
            return value._check(where)
        if not isinstance(value, Mapping):
            raise DataError(
                f"{where} is a {type(value).__name__}; expected a mapping such as {{'role': "
                "'draft', 'prompt': '...', 'after': ['plan']}, or a Step."
            )
        known = [each.name for each in fields(cls)]
        strange = sorted(str(key) for key in value if key not in known)
        if strange:
            hint = suggest(strange[0], known, "A step has ")
            raise DataError(f"{where} has the unknown key {strange[0]!r}. {hint}")
        if "prompt" not in value:
            raise DataError(f"{where} has no prompt; expected the text of what is asked.")
        return cls(**{"role": None, **value})._check(where)

    def _check(self, where: str) -> Step:
        """The step with names as a tuple, if every field is of its kind."""
        for what in ("role", "name", "model"):
            value = getattr(self, what)
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise DataError(
                    f"The {what} of {where} is {show_value(value)}; expected a text that is not "
                    "blank, or none."
                )
        context, vector = read_context(self.context, f"{where}: context"), self.embedding
        if vector is not None:
            vector = Embedding.of(vector, where=f"{where}: embedding")
        if not isinstance(self.prompt, str) and not is_chat(self.prompt):
            raise DataError(
                f"The prompt of {where} is {show_value(self.prompt)}; expected a text, or the "
                "messages of a chat."
            )
        after: Any = (self.after,) if isinstance(self.after, str) else self.after
        if not isinstance(after, Sequence) or not all(isinstance(each, str) for each in after):
            raise DataError(
                f"after of {where} is {show_value(self.after)}; expected the names of steps, such "
                "as ['draft']."
            )
        for what in ("weight", "cost_usd"):
            value = getattr(self, what)
            if value is not None and not is_amount(value):
                raise DataError(
                    f"{what} of {where} is {show_value(value)}; expected a finite number of at "
                    "least 0."
                )
        if self.effect is not None:
            Grade.of(self.effect, f"The effect of {where}")
        if self.model is None and (self.effect is not None or self.cost_usd is not None):
            raise DataError(
                f"{where} has {'an effect' if self.effect is not None else 'a cost'} but no "
                "model; name who has run it."
            )
        return replace(self, after=tuple(dict.fromkeys(after)), context=context, embedding=vector)


@dataclass(frozen=True, eq=False)
class StepPlan:
    """The steps of a plan, and which of them each builds upon, directly or through others.

    Example:
        >>> plan = StepPlan.of([
        ...     {"role": "plan", "prompt": "Outline it."},
        ...     {"role": "draft", "prompt": "Write it.", "after": ["plan"]},
        ...     {"role": "draft", "prompt": "Shorten it.", "after": ["draft"]},
        ... ])
        >>> plan.names, plan.before.astype(int).tolist()
        (('plan', 'draft', 'draft 2'), [[0, 0, 0], [1, 0, 0], [1, 1, 0]])
        >>> plan.weight.tolist()
        [0.0, 0.0, 1.0]
    """

    steps: tuple[Step, ...]
    names: tuple[str, ...]
    """One a step, each once."""
    direct: BoolArray
    """(num_steps, num_steps), whether the step of the column is named in `after` of the row."""
    before: BoolArray
    """(num_steps, num_steps), the same through any number of steps."""
    order: tuple[int, ...]
    """Numbers of the steps in an order in which none stands before what it builds upon."""

    @classmethod
    def of(cls, steps: StepPlan | Sequence[Step | Mapping[str, Any]]) -> Self | StepPlan:
        """The plan of these steps, checked.

        Args:
            steps: At most 1,000; a plan is given back as it is.

        Raises:
            DataError: There are none or too many, one is none, two share a name, `after` names no
                step, or steps wait for each other in a ring.
        """
        if isinstance(steps, StepPlan):
            return steps
        if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
            raise DataError(
                f"steps is a {type(steps).__name__}; expected a list of steps, such as "
                "[{'role': 'draft', 'prompt': '...'}]."
            )
        if not 0 < len(steps) <= MOST_STEPS:
            raise DataError(
                f"The plan has {count_of(len(steps), 'step')}; expected between 1 and "
                f"{MOST_STEPS:,}. {'Divide it.' if steps else 'Give at least one.'}"
            )
        read = tuple(Step.of(each, f"step {i}") for i, each in enumerate(steps, start=1))
        names = _name_steps(read)
        direct = _read_links(read, names)
        order = _find_order(direct, names)
        before = direct.copy()
        for i in order:
            before[i] |= before[direct[i]].any(axis=0)
        return cls(read, names, direct, before, order)

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def is_end(self) -> BoolArray:
        """(num_steps,), whether no step comes after it."""
        return np.asarray(~self.direct.any(axis=0))

    @property
    def weight(self) -> FloatArray:
        """(num_steps,), what each counts when it goes right.

        As the steps say, 0 for those that say nothing; where none does, the ends share 1 equally.
        """
        stated = [step.weight for step in self.steps]
        if all(each is None for each in stated):
            return np.asarray(self.is_end / self.is_end.sum(), dtype=np.float64)
        return np.array([0.0 if each is None else float(each) for each in stated])

    @property
    def is_settled(self) -> BoolArray:
        """(num_steps,), whether somebody has run it."""
        return np.array([step.model is not None for step in self.steps])

    def to_queries(self, user: str | None = None, team: str | None = None) -> Queries:
        """What is asked of a router: a query a step.

        Args:
            user: Who asks all of them.
            team: The team of a user who is new.

        Raises:
            DataError: The user or the team is blank or no text.
        """
        check_person(user, "user")
        check_person(team, "team")
        return Queries.of(
            [step.prompt for step in self],
            [step.role for step in self],
            users=[user] * len(self),
            teams=[team] * len(self),
            contexts=[step.context for step in self],
            embeddings=[step.embedding for step in self],
        )

    def find(self, name: str) -> int:
        """Number of the step of that name, from 0.

        Raises:
            DataError: There is none.
        """
        if name not in self.names:
            hint = suggest(name, self.names, "The plan has ")
            raise DataError(f"No step is called {name!r}. {hint}")
        return self.names.index(name)

    def settle(
        self,
        name: str,
        model: str,
        effect: float | Grade | None = None,
        cost_usd: float | None = None,
    ) -> StepPlan:
        """The plan once a step was run; arguments as the fields of `Step`.

        Raises:
            DataError: There is no such step, or a value is of another kind.
        """
        place = self.find(name)
        run = replace(self.steps[place], model=model, effect=effect, cost_usd=cost_usd)
        steps = list(self.steps)
        steps[place] = run._check(f"the step {name!r}")
        return replace(self, steps=tuple(steps))


def read_step_plan(file: Path) -> StepPlan:
    """The plan of a file, .json or .yaml: a list of steps, or a mapping with them under `steps`.

    Raises:
        DataError: It cannot be read, or holds no plan.
    """
    value = read_plain_file(file)
    if isinstance(value, Mapping):
        strange = sorted(str(key) for key in value if key != "steps")
        if strange or "steps" not in value:
            raise DataError(
                f"{file}: received the keys {name_some(sorted(map(str, value))) or 'none'}; "
                "expected steps, a list, and nothing else."
            )
        value = value["steps"]
    try:
        return StepPlan.of(value)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def _name_steps(steps: Sequence[Step]) -> tuple[str, ...]:
    """What each step is called: its name, else its role with a number from the second one on."""
    seen: Counter[str] = Counter()
    names = []
    for number, step in enumerate(steps, start=1):
        if step.name is not None:
            names.append(step.name)
            continue
        if step.role is None:
            names.append(f"step {number}")
            continue
        seen[step.role] += 1
        names.append(step.role if seen[step.role] == 1 else f"{step.role} {seen[step.role]}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{count_of(names.count(twice[0]), 'step')} are called {twice[0]!r}; give each a name "
            "of its own."
        )
    return tuple(names)


def _read_links(steps: Sequence[Step], names: Sequence[str]) -> BoolArray:
    """(num_steps, num_steps), whether the row names the column in `after`."""
    place = {name: i for i, name in enumerate(names)}
    direct = np.zeros((len(steps), len(steps)), dtype=bool)
    for i, step in enumerate(steps):
        for name in step.after:
            if name not in place:
                hint = suggest(name, names, "The plan has ")
                raise DataError(
                    f"The step {names[i]!r} comes after {name!r}, which is no step. {hint}"
                )
            direct[i, place[name]] = True
    return direct


def _find_order(direct: BoolArray, names: Sequence[str]) -> tuple[int, ...]:
    """The steps so that each stands behind those it builds upon (Kahn 1962)."""
    waits, order = direct.sum(axis=1), []
    ready = np.flatnonzero(waits == 0).tolist()
    while ready:
        done = ready.pop(0)
        order.append(done)
        for i in np.flatnonzero(direct[:, done]).tolist():
            waits[i] -= 1
            if waits[i] == 0:
                ready.append(i)
    if len(order) < len(names):
        ring = _find_ring(direct, int(np.flatnonzero(waits > 0)[0]), waits > 0)
        told = " after ".join(repr(names[i]) for i in ring)
        raise DataError(f"Steps wait for each other in a ring: {told}. Take one of them out.")
    return tuple(order)


def _find_ring(direct: BoolArray, start: int, is_left: BoolArray) -> list[int]:
    """A ring of steps, the first one again at the end."""
    path = [start]
    while True:
        following = int(np.flatnonzero(direct[path[-1]] & is_left)[0])
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)
