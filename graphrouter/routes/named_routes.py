"""Routes as people write them: a name, words and examples, and what to do with such a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import ConfigError, PolicyError, UnknownRouteError
from graphrouter.files import replace_file, to_path
from graphrouter.moment import check_in_pool
from graphrouter.number_checks import is_number
from graphrouter.policy import Policy, parse_policy
from graphrouter.text_files import read_plain_file
from graphrouter.wording import show_value, suggest

_ACTIONS = ("policy", "models", "model")
NO_ROUTE = "none"
"""What prompts of no route are called in tables, and therefore no route."""


class Route(DocumentedModel):
    """A kind of prompt, and how a prompt of that kind is routed.

    Example:
        >>> Route(name="law", description="Questions on contracts.", model="grand").apply().allowed
        ('grand',)
    """

    noun: ClassVar[str] = "key"

    name: str = Field(
        description="What the decision calls it; no two routes have one name, and none is 'none'."
    )
    description: str = Field(
        "", description="The kind of prompt in words, such as domain and action."
    )
    examples: tuple[str, ...] = Field((), description="Prompts of this kind.")
    task: str | None = Field(
        None,
        description="A task of the router, whose description and solved queries describe the "
        "route too.",
    )
    policy: Policy | None = Field(
        None, description="What such a prompt is routed by: a preset or settings of a policy."
    )
    models: tuple[str, ...] | None = Field(
        None, description="Only these models, by the policy of the caller."
    )
    model: str | None = Field(None, description="This model alone.")

    @field_validator("policy", mode="before")
    @classmethod
    def _read_policy(cls, value: Any) -> Any:
        if value is None or isinstance(value, Policy):
            return value
        if isinstance(value, str):  # the name of a preset alone
            value = {"preset": value}
        try:
            return parse_policy(value, source="policy")
        except PolicyError as error:
            raise ValueError(str(error).rstrip(".")) from None

    @model_validator(mode="after")
    def _says_what_it_is_and_does(self) -> Route:
        if not self.name.strip():
            raise ValueError("the name is empty; expected a word such as 'contracts'")
        if self.name.strip().casefold() == NO_ROUTE:
            raise ValueError(
                f"the name {self.name!r} stands for prompts of no route, as in the column "
                f"p_{NO_ROUTE}; expected another, such as 'other'"
            )
        if not (self.description.strip() or self.examples or self.task):
            raise ValueError(
                "nothing says which prompts are meant; give a description, examples or a task"
            )
        for number, text in enumerate(self.examples, start=1):
            if not text.strip():
                raise ValueError(f"example {number} is empty; write a prompt, or take it out")
        given = [name for name in _ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            received = " and ".join(given) if given else "none of them"
            raise ValueError(f"received {received}; expected exactly one of policy, models, model")
        if self.models is not None and not self.models:
            raise ValueError("models is empty; name at least one")
        return self

    @property
    def named_models(self) -> tuple[str, ...]:
        """The models that the route names itself, in its policy too."""
        if self.policy is None:
            return self.models or tuple(filter(None, (self.model,)))
        by = self.policy
        extra = (by.fallback, by.safe_model)
        return (*(by.allowed or ()), *by.excluded, *filter(None, extra))

    def apply(self, policy: Policy | None = None) -> Policy:
        """What a prompt of this route is routed by.

        Args:
            policy: That of the caller: a policy of the route stands in its place, models of the
                route are what it may choose from.

        Raises:
            PolicyError: The policy of the caller leaves none of the models, or cannot be applied to
                them alone.
        """
        if self.policy is not None:
            return self.policy
        by = Policy() if policy is None else policy
        own = (str(self.model),) if self.models is None else self.models
        left = tuple(
            name
            for name in own
            if name not in by.excluded and (by.allowed is None or name in by.allowed)
        )
        if not left:
            raise PolicyError(
                f"The route {self.name!r} has {', '.join(own)}, and the policy allows none of "
                "them. Change one of the two."
            )
        excluded = tuple(name for name in by.excluded if name not in left)
        try:
            return by.model_copy(update={"allowed": left, "excluded": excluded})
        except PolicyError as error:
            raise PolicyError(f"The route {self.name!r} with the policy given: {error}") from None

    def to_plain(self) -> dict[str, Any]:
        """The route as a file of routes holds it."""
        values = self.model_dump(exclude_defaults=True, mode="json", exclude={"policy"})
        if self.policy is not None:
            values["policy"] = self.policy.settings
        return values


@dataclass(frozen=True, eq=False)
class Routes:
    """Named routes, in order, and how many prompts are expected to be of none of them.

    Example:
        >>> law = {"name": "law", "description": "Questions on contracts.", "model": "grand"}
        >>> Routes([law, {"name": "chat", "description": "Small talk.", "policy": "cost_first"}])
        Routes('law', 'chat')
    """

    routes: tuple[Route, ...]
    none_share: float = 0.5
    """Share of prompts that are expected to be of no route, in (0, 1)."""
    source: str = "routes"
    """Where they come from, for messages: the name of their file."""

    def __init__(
        self,
        routes: Sequence[Route | Mapping[str, Any]],
        *,
        none_share: float = 0.5,
        source: str = "routes",
    ) -> None:
        """The routes, checked.

        Args:
            routes: Each as a `Route` or as a mapping of its keys.
            none_share: Share of prompts that are expected to be of no route.
            source: Where they come from, for messages.

        Raises:
            ConfigError: A route is not accepted, there is none, two have one name or one example,
                or the share is not between 0 and 1.
        """
        if isinstance(routes, str | Mapping) or not isinstance(routes, Sequence) or not routes:
            what = "no route" if not isinstance(routes, str | Mapping) and not routes else routes
            shown = what if isinstance(what, str) else type(what).__name__
            raise ConfigError(f"{source}: received {shown}; expected a list of routes.")
        read = tuple(_read_route(each, i, source) for i, each in enumerate(routes, start=1))
        if not is_number(none_share) or not 0 < none_share < 1:
            raise ConfigError(
                f"{source}: none_share = {none_share!r} is not accepted: expected a share of the "
                "prompts, between 0 and 1."
            )
        names: dict[str, str] = {}
        texts: dict[str, str] = {}
        for route in read:
            if route.name in names:
                raise ConfigError(
                    f"{source}: two routes have the name {route.name!r}; expected one each."
                )
            names[route.name] = route.name
            for text in route.examples:
                if text in texts:
                    raise ConfigError(
                        f"{source}: the example {text[:60]!r} stands in {texts[text]!r} and in "
                        f"{route.name!r}; expected it once."
                    )
                texts[text] = route.name
        object.__setattr__(self, "routes", read)
        object.__setattr__(self, "none_share", float(none_share))
        object.__setattr__(self, "source", source)

    @classmethod
    def load(cls, file: str | Path) -> Routes:
        """The routes in a YAML or JSON file: a list, or `routes:` with a list and `none_share:`.

        Raises:
            ConfigError: There is no such file, it holds something else, or a route is not accepted.
        """
        path = to_path(file, "a file of routes", ConfigError)
        values = read_plain_file(path, refuse=ConfigError)
        if not isinstance(values, dict):
            return cls(values if values is not None else [], source=path.name)
        known = ("routes", "none_share")
        for name in values:
            if name not in known:
                hint = suggest(name, known, "Keys: ")
                raise ConfigError(f"{path.name}: unknown key {name!r}. {hint}")
        share = values.get("none_share", 0.5)
        return cls(values.get("routes") or [], none_share=share, source=path.name)

    def save(self, file: str | Path) -> None:
        """Write the routes to a YAML file, from which `load` reads them again."""
        import yaml

        path = to_path(file, "a file of routes", ConfigError)
        values = {
            "none_share": self.none_share,
            "routes": [route.to_plain() for route in self.routes],
        }
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)

        def write(place: Path) -> None:
            place.write_text(text, encoding="utf-8")

        replace_file(path, write)

    def __len__(self) -> int:
        return len(self.routes)

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def __getitem__(self, name: str) -> Route:
        """The route of that name.

        Raises:
            UnknownRouteError: There is none.
        """
        for route in self.routes:
            if route.name == name:
                return route
        raise UnknownRouteError(
            f"No route has the name {show_value(name)}. {suggest(name, self.names, 'Routes: ')}"
        )

    def __repr__(self) -> str:
        return f"Routes({', '.join(repr(name) for name in self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the routes, in order."""
        return tuple(route.name for route in self.routes)

    def check_against(self, models: Sequence[str], tasks: Sequence[str]) -> None:
        """Refuse routes that name what a router does not have.

        Raises:
            ConfigError: A route names a task that the router does not know.
            UnknownModelError: A route names a model that is not in the pool.
        """
        for route in self.routes:
            for name in route.named_models:
                check_in_pool(self.locate(route.name), name, models)
            if route.task is not None and route.task not in tasks:
                raise ConfigError(
                    f"{self.locate(route.name)} names the task {route.task!r}, which the router "
                    f"does not know. {suggest(route.task, tasks, 'It knows ')}"
                )

    def locate(self, name: str) -> str:
        """Where a route stands, for messages.

        Example:
            >>> law = {"name": "law", "description": "Contracts.", "model": "grand"}
            >>> Routes([law], source="mine.yaml").locate("law")
            "mine.yaml: the route 'law'"
        """
        return f"{self.source}: the route {name!r}"


def _read_route(value: Any, number: int, source: str) -> Route:
    if isinstance(value, Route):
        return value
    name = value.get("name") if isinstance(value, Mapping) else None
    which = f"route {name!r}" if isinstance(name, str) else f"route {number}"
    return Route.parse(value, source=f"{source}: {which}")
